// The first TypeScript block of a README as files that can be checked and run.
//
// An actor's module is loaded by every thread, so an example that also starts a node needs two files. The block may
// therefore hold several: a line `// cart.ts`, alone or before a remark, begins a file of that name; the last one is
// the program. Without such a line the whole block is `example.ts`.

export interface ExampleFile {
  readonly name: string;
  readonly source: string;
}

export function exampleFiles(readme: string): ExampleFile[] {
  const block = /^```ts\b[^\n]*\n(.*?)^```/ms.exec(readme)?.[1];
  if (block === undefined) return [];
  const files: { name: string; lines: string[] }[] = [];
  for (const line of block.split('\n')) {
    const name = /^\/\/ ([\w-]+\.ts)\b/.exec(line)?.[1];
    if (name !== undefined || files.length === 0) files.push({ name: name ?? 'example.ts', lines: [] });
    files.at(-1)?.lines.push(line);
  }
  return files.map(({ name, lines }) => ({ name, source: lines.join('\n') }));
}
