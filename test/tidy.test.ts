// The tree keeps the rules of DESIGN.md section 1 and STYLE.md that a program can check; and the checker can fail.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  checkImports,
  checkLeftovers,
  checkLengths,
  checkPurity,
  checkReadmes,
  type Exception,
  except,
  importsOf,
  kindOf,
  linesMax,
  show,
  type Tree,
  type Violation,
} from './tidy/rules.ts';
import { tokenize } from './tidy/tokens.ts';

/**
 * What a core does although cores may not, each with its reason. `what` is the import or the name, as a failure prints
 * it. A row that is no longer needed fails the test.
 */
const exceptions: readonly Exception[] = [
  { file: 'src/runtime/wire-ext.ts', what: 'Date', reason: 'carries Date values; never asks what time it is' },
  { file: 'src/runtime/reminders.ts', what: 'Date', reason: 'takes a Date from the user; never asks what time it is' },
  { file: 'src/runtime/codec-writer.ts', what: 'node:util', reason: 'types.isProxy: a question to the value, no I/O' },
  { file: 'src/runtime/codec-refusal.ts', what: 'node:util', reason: 'asks the same questions as codec-writer.ts' },
  {
    file: 'src/runtime/memory-port.ts',
    what: 'Atomics.waitAsync',
    reason: 'is the wait that the port stands for; the model checker has its own port',
  },
];

const root = join(import.meta.dirname, '..');

const tree: Tree = new Map(
  ['src', 'test', 'bench'].flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map(file => `${folder}/${file.replaceAll('\\', '/')}`)
      .filter(file => file.endsWith('.ts') || file.endsWith('/README.md'))
      .map(file => [file, readFileSync(join(root, file), 'utf8')] as const),
  ),
);

describe('the tree', () => {
  it('imports one way: doors -> actors -> runtime -> storage', () => {
    expect(show(checkImports(tree))).toEqual([]);
  });
  it('keeps its cores pure and its shells free of clocks and dice', () => {
    expect(show(except(checkPurity(tree), exceptions))).toEqual([]);
  });
  it('explains each folder of src in a README that names each file', () => {
    expect(show(checkReadmes(tree))).toEqual([]);
  });
  it(`holds no source file above ${linesMax} lines`, () => {
    expect(show(checkLengths(tree))).toEqual([]);
  });
  it('leaves nothing for later', () => {
    expect(show(checkLeftovers(tree))).toEqual([]);
  });
});

/** What a rule says of a planted file, without the reasons: `core.ts:1 Date`. */
function found(rule: (tree: Tree) => Violation[], files: Record<string, string>): string[] {
  return rule(new Map(Object.entries(files))).map(({ file, line, what }) => `${file}:${line} ${what}`);
}

describe('the import rule', () => {
  it.each([
    ['src/storage/x.ts', '../runtime/world.ts'],
    ['src/runtime/x.ts', '../actors/kv/vnode-actor.ts'],
    ['src/actors/x.ts', '../doors/http.ts'],
    ['src/actors/x.ts', '../index.ts'],
    ['src/node.ts', './doors/http.ts'],
    ['src/errors.ts', './storage/engine.ts'],
    ['src/actors/kv/x.ts', '../sequencer/block.ts'],
    ['src/runtime/x.ts', '../../test/kit.ts'],
  ])('refuses %s importing %s, however it is written', (file, specifier) => {
    const spellings = [
      `import { a } from '${specifier}';`,
      `import type { A } from '${specifier}';`,
      `import a, * as b from "${specifier}"`,
      `export * from '${specifier}';`,
      `export {\n  a,\n  b as c,\n} from '${specifier}';`,
      `import '${specifier}';`,
      `const a = await import('${specifier}');`,
    ];
    for (const spelling of spellings)
      expect(found(checkImports, { [file]: spelling })).toEqual([`${file}:1 ${specifier}`]);
  });

  it.each([
    ['src/doors/cli/main.ts', '../../node.ts'],
    ['src/index.ts', './runtime/actor.ts'],
    ['src/actors/kv/x.ts', '../../runtime/world.ts'],
    ['src/runtime/x.ts', '../storage/engine.ts'],
    ['src/storage/x.ts', '../limits.ts'],
    ['src/actors/kv/x.ts', './y.ts'],
    ['src/storage/x.ts', 'node:fs'],
  ])('lets %s import %s', (file, specifier) => {
    expect(found(checkImports, { [file]: `import { a } from '${specifier}';` })).toEqual([]);
  });
});

describe('the purity rule', () => {
  const file = 'src/runtime/ring.ts';
  it.each([
    ['const t = Date.now();', 'Date'],
    ['const t = new Date();', 'Date'],
    ['const t = known ? 0 : Date.now();', 'Date'],
    ['if (x instanceof Date) return;', 'Date'],
    ['const x = Math.random();', 'Math.random'],
    ['const t = performance.now();', 'performance'],
    ['setTimeout(f, 5);', 'setTimeout'],
    ['setImmediate(f);', 'setImmediate'],
    ['queueMicrotask(f);', 'queueMicrotask'],
    ['process.exit(1);', 'process.'],
    ['const b = crypto.randomUUID();', 'crypto.'],
    ['Atomics.wait(a, 0, 0);', 'Atomics.wait'],
    ['Atomics.waitAsync(a, 0, 0);', 'Atomics.waitAsync'],
    ['const w = new WeakRef(o);', 'WeakRef'],
    ['const r = new FinalizationRegistry(f);', 'FinalizationRegistry'],
    ['keys.sort((a, b) => a.localeCompare(b));', 'localeCompare'],
    ['console.log(1);', 'console'],
    ['globalThis.setTimeout(f);', 'globalThis'],
    ['const m = await import(url);', 'import()'],
    ["import { readFileSync } from 'node:fs';", 'node:fs'],
    ["import { open } from 'lmdb';", 'lmdb'],
    ["export * from 'piscina';", 'piscina'],
    ['const s = `${`${Date.now()}`}`;', 'Date'],
    ['const half = width / 2; const t = Date.now() / 2;', 'Date'],
  ])('finds the outside in a core: %s', (source, what) => {
    expect(found(checkPurity, { [file]: `// a core\n${source}` })).toContain(`${file}:2 ${what}`);
  });

  it.each([
    "// Date.now() would be wrong here\n/* setTimeout(f) */ const a = 'Date.now()';",
    'const a = `process.exit ${b} console`;',
    'const a = /Date.now\\/[/]setTimeout(x)/.test(b);',
    'if (found) return /performance.now/u;',
    'const o = { performance: 1, console: 2 }; o.performance += world.clock.setTimeout;',
    'Atomics.store(a, 0, 1); Atomics.notify(a, 0); Atomics.load(a, 0);',
    "import type { Socket } from 'node:net';\nimport { Packr } from 'msgpackr';\nimport { a } from './b.ts';",
    'function process(item: Item) { return item; }\nprocess(x);',
    'const url = import.meta.url;',
    'type When = Millis | Date | { at: Date };',
    'interface Engine { import(name: string): void; export(name: string): void }',
  ])('lets a core say: %s', source => {
    expect(found(checkPurity, { [file]: source })).toEqual([]);
  });

  it('knows an edge and a shell by name', () => {
    const edges = [
      'memory-store',
      'tcp-link',
      'tls-wire',
      'actor-host',
      'dir-lock',
      'thread-entry',
      'node-file',
      'open-engine',
      'real-world-clock',
      'virtual-world',
    ];
    for (const name of edges) expect(kindOf(`src/runtime/${name}.ts`)).toBe('edge');
    expect(kindOf('src/doors/resp/parser.ts')).toBe('edge');
    expect(kindOf('src/node.ts')).toBe('edge');
    expect(kindOf('src/actors/vnode-actor.ts')).toBe('shell');
    for (const name of ['ring', 'linked', 'hosts', 'store-plan', 'multi-thread', 'wire', 'far-wire'])
      expect(kindOf(`src/runtime/${name}.ts`)).toBe('core');
  });

  it('lets an edge do anything, and a shell anything but tell the time itself', () => {
    const source = "import fs from 'node:fs';\nsetTimeout(() => console.log(Date.now()), 1);";
    expect(found(checkPurity, { 'src/storage/file-store.ts': source })).toEqual([]);
    expect(found(checkPurity, { 'src/actors/vnode-actor.ts': source })).toEqual([
      'src/actors/vnode-actor.ts:2 setTimeout',
      'src/actors/vnode-actor.ts:2 Date',
    ]);
  });

  it('takes out exactly what the table of exceptions names, and reports a row nobody needs', () => {
    const violations = checkPurity(new Map([[file, 'Date.now(); console.log(1);']]));
    const row = (what: string): Exception => ({ file, what, reason: 'planted' });
    expect(except(violations, [row('Date')]).map(({ what }) => what)).toEqual(['console']);
    expect(
      except(violations, [row('Date'), row('console'), row('WeakRef')]).map(({ rule, what }) => [rule, what]),
    ).toEqual([['exception', 'WeakRef']]);
  });
});

describe('the other rules', () => {
  it('miss a README, and a name in a README, in each folder but src itself', () => {
    const files = {
      'src/index.ts': '',
      'src/a/ring.ts': '',
      'src/a/b/deep.ts': '',
      'src/a/README.md': 'hash-ring.ts: the ring',
    };
    expect(found(checkReadmes, files)).toEqual(['src/a/b/README.md:1 README.md', 'src/a/README.md:1 ring.ts']);
    expect(found(checkReadmes, { 'src/a/ring.ts': '', 'src/a/README.md': '- `ring.ts`: the ring' })).toEqual([]);
  });

  it(`take ${linesMax} lines and refuse one more`, () => {
    expect(found(checkLengths, { 'src/a.ts': 'x\n'.repeat(linesMax) })).toEqual([]);
    expect(found(checkLengths, { 'src/a.ts': 'x\n'.repeat(linesMax + 1) })).toEqual([`src/a.ts:401 401 lines`]);
  });

  it('find what was left for later, in tests and benches too', () => {
    // Spelled in halves, or this file would find itself.
    for (const leftover of ['TO' + 'DO', 'FIX' + 'ME', '@ts' + '-ignore', 'it.on' + 'ly(']) {
      for (const file of ['src/a.ts', 'test/a.test.ts', 'bench/a.ts']) {
        expect(found(checkLeftovers, { [file]: `\n// ${leftover}'x')` })).toHaveLength(1);
      }
    }
    expect(found(checkLeftovers, { 'src/a.ts': 'const commonly = fixmes;' })).toEqual([]);
  });
});

describe('the tokenizer', () => {
  it('keeps words, drops text, and counts lines through comments and templates', () => {
    const source =
      '#!/usr/bin/env node\n/* a\n b */ let x = `one ${two + `three ${four}`}\n five`; // six\nlet y = x / 2 / 1; seven';
    const words = tokenize(source)
      .filter(token => token.kind === 'word')
      .map(({ text, line }) => `${text}@${line}`);
    expect(words).toEqual(['let@3', 'x@3', 'two@3', 'four@3', 'let@5', 'y@5', 'x@5', 'seven@5']);
  });

  it('is not thrown off by any source file of ours: every import it should see, it sees', () => {
    const ours = [...tree].filter(([file]) => /^(src|bench)\/.*(?<!\.d)\.ts$/.test(file));
    expect(ours).not.toEqual([]);
    for (const [file, source] of ours) {
      const plain = source.match(/^(?:import|export)\b[^;'"`]*?\bfrom '[^']+';/gm)?.length ?? 0;
      const seen = importsOf(source).filter(({ kind }) => kind !== 'dynamic').length;
      expect(`${file}: ${seen}`).toBe(`${file}: ${plain}`);
    }
  });
});
