// A mistake as a change of one place in a source: what is found must be there once, or the mistake is another one by now.

export interface Mistake {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export function mutate(text: string, { name, file, find, replace }: Mistake): string {
  const count = text.split(find).length - 1;
  if (count !== 1) throw new Error(`mutant '${name}': its text occurs ${count} times in ${file}, not once`);
  return text.replace(find, () => replace);
}
