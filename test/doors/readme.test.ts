// The examples of README.md run as they stand, here against the sources; test/package.test.ts runs the first one against the
// package as it is shipped, and checks its types.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { askDeadlineMsDefault, diskFreeLowWater, mailboxCapacityDefault, siblingsMax } from '../../src/limits.ts';
import { exampleFiles } from '../package/readme-example.ts';

const root = join(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'troupe-readme-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const blocks = [...readme.matchAll(/^```ts\n.*?^```/gms)].map(([block]) => exampleFiles(block));
const entries: Readonly<Record<string, string>> = {
  troupe: 'src/index.ts',
  'troupe/testing': 'src/testing.ts',
  'troupe/doors': 'src/doors/index.ts',
};

describe('README.md', () => {
  it('has an example for actors, several nodes, the store, the test kit and the doors', () => {
    expect(blocks.map(files => files.at(-1)?.name)).toEqual([
      'main.ts',
      'nodes.ts',
      'store.ts',
      'shop-check.ts',
      'doors.ts',
    ]);
  });

  it.each(blocks.map(files => [files.at(-1)?.name ?? '', files] as const))(
    'runs %s as it stands',
    async (name, files) => {
      const dir = join(folder, name);
      mkdirSync(dir);
      // An example may import what one before it has shown.
      for (const file of blocks.slice(0, blocks.indexOf(files) + 1).flat()) {
        const source = file.source.replace(/from '(troupe[\w/]*)'/g, (whole, entry: string) => {
          const path = entries[entry];
          return path === undefined ? whole : `from '${pathToFileURL(join(root, path)).href}'`;
        });
        writeFileSync(join(dir, file.name), source);
      }
      writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
      const { stderr } = await promisify(execFile)(process.execPath, [name], { cwd: dir });
      expect(stderr).toBe('');
    },
  );

  it('names files that exist', () => {
    const paths = [...readme.matchAll(/\]\(([\w/.-]+)\)|`((?:src|bench|test)\/[\w/.-]*)`/g)].map(
      ([, a, b]) => a ?? b ?? '',
    );
    expect(paths.length).toBeGreaterThan(10);
    expect(paths.filter(path => !existsSync(join(root, path)))).toEqual([]);
  });

  it('quotes the bounds as they are', () => {
    expect(readme).toContain(`${mailboxCapacityDefault.toLocaleString('en')} messages or 1 MiB`);
    expect(readme).toContain(`(${askDeadlineMsDefault / 1_000} s by default)`);
    expect(readme).toContain(`Below ${diskFreeLowWater / 2 ** 20} MiB of free space`);
    expect(readme).toContain(`${siblingsMax} siblings of one key`);
  });

  it('explains every error code', () => {
    const codes = [...readFileSync(join(root, 'src/errors.ts'), 'utf8').matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map(
      ([, code]) => code as string,
    );
    expect(codes.length).toBeGreaterThan(15);
    for (const code of codes) expect(readme).toContain(`\`${code}\``);
  });
});
