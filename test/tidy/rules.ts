// The rules of the tree that a program can check, as pure functions from files to violations.
//
// The intuition: DESIGN.md section 1 says what may import what and which files are pure; nobody remembers that at the
// end of a long day. Each rule says which file, which line and what to do instead. `tidy.test.ts` runs them over the
// real tree, and over small planted trees to prove that each can fail.

import { posix } from 'node:path';
import { type Token, tokenize } from './tokens.ts';

/** Path from the root of the repository, with forward slashes, to content. */
export type Tree = ReadonlyMap<string, string>;

export type Rule = 'imports' | 'purity' | 'shell' | 'readme' | 'length' | 'leftover' | 'exception';

export interface Violation {
  readonly rule: Rule;
  readonly file: string;
  readonly line: number;
  /** What was found: the import specifier or the name. An exception names this. */
  readonly what: string;
  readonly why: string;
}

/** One thing a core may do although the rules say no. An exception that nothing uses is a violation itself. */
export interface Exception {
  readonly file: string;
  readonly what: string;
  readonly reason: string;
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
  readonly kind: 'value' | 'type' | 'dynamic';
}

export const linesMax = 400;

// ---------------------------------------------------------------------------------------------------------------
// What a file is, from its name alone.

export type Kind = 'core' | 'shell' | 'edge';

/** Whoever implements World, in earnest or for tests, is an edge. */
const edgeNames =
  /^(.*-(store|link|host|lock|job)|(tcp|tls)-wire|thread-.*|node-file|open-engine|(real|virtual)-world.*)\.ts$/;

export function kindOf(file: string): Kind {
  const name = posix.basename(file);
  if (file.startsWith('src/doors/') || file === 'src/node.ts' || edgeNames.test(name)) return 'edge';
  return name.endsWith('-actor.ts') ? 'shell' : 'core';
}

/**
 * The layers, lowest first: a file imports from its own layer and from those below. The doors stand above the entry
 * points, not below them: the command line starts nodes, while `import 'troupe'` must never load a server.
 */
const layers = ['errors and limits', 'storage', 'runtime', 'actors', 'entry points', 'doors'] as const;

function layerOf(file: string): number {
  if (['src/errors.ts', 'src/limits.ts', 'src/limits-cluster.ts'].includes(file)) return 0;
  const folder = /^src\/(storage|runtime|actors|doors)\//.exec(file)?.[1];
  return folder === undefined ? 4 : layers.indexOf(folder as (typeof layers)[number]);
}

/** The three products on top of the runtime. They must stay separable. */
const productOf = (file: string): string | undefined =>
  /^src\/actors\/(kv|limiter|rate-limiter|sequencer)\//.exec(file)?.[1];

// ---------------------------------------------------------------------------------------------------------------
// (a) Imports run one way.

export function checkImports(tree: Tree): Violation[] {
  return sources(tree).flatMap(file =>
    importsOf(tree.get(file) as string).flatMap(({ specifier, line }): Violation[] => {
      if (!specifier.startsWith('.')) return [];
      const target = posix.join(posix.dirname(file), specifier);
      const refuse = (why: string): Violation[] => [{ rule: 'imports', file, line, what: specifier, why }];
      const [from, to] = [layerOf(file), layerOf(target)];
      if (!target.startsWith('src/')) return refuse('a source file must not import from outside src/');
      if (to > from)
        return refuse(`${layers[from]} must not import ${layers[to]} (doors -> actors -> runtime -> storage)`);
      const [product, other] = [productOf(file), productOf(target)];
      if (product && other && product !== other) return refuse(`${product} and ${other} must not import each other`);
      return [];
    }),
  );
}

// ---------------------------------------------------------------------------------------------------------------
// (b) A core is pure; a shell takes time and chance from its context.

/** Packages without I/O: a core may import their values. Types may be imported from anywhere, they are erased. */
const purePackages = new Set(['eventemitter3', 'msgpackr']);

const timeAndChance: Record<string, string> = {
  Date: 'time is an argument',
  performance: 'time is an argument',
  'Math.random': 'chance comes in through World.random',
  setTimeout: 'timers belong to World.clock; a core returns { waitMs }',
  setInterval: 'timers belong to World.clock; a core returns { waitMs }',
  setImmediate: 'timers belong to World.clock',
  queueMicrotask: 'timers belong to World.clock',
};

const outside: Record<string, string> = {
  'process.': 'the process belongs to an edge',
  'crypto.': 'chance comes in through World.random; hashing that is pure needs an exception',
  'Atomics.wait': 'only an edge may wait; Atomics.load, store and notify are fine',
  'Atomics.waitAsync': 'only an edge may wait; Atomics.load, store and notify are fine',
  WeakRef: 'what the garbage collector does is not repeatable',
  FinalizationRegistry: 'what the garbage collector does is not repeatable',
  localeCompare: 'depends on the locale of the machine; compare bytes or code units',
  Intl: 'depends on the locale of the machine',
  console: 'a core does not log; a shell does, through World.log',
  fetch: 'the network belongs to an edge',
  globalThis: 'a way around every name in this list',
};

export function checkPurity(tree: Tree): Violation[] {
  return sources(tree).flatMap(file => {
    const kind = kindOf(file);
    if (kind === 'edge') return [];
    const source = tree.get(file) as string;
    if (kind === 'shell') return mentions(file, source, 'shell', timeAndChance);
    return [...impureImports(file, source), ...mentions(file, source, 'purity', { ...timeAndChance, ...outside })];
  });
}

function impureImports(file: string, source: string): Violation[] {
  return importsOf(source).flatMap(({ specifier, line, kind }): Violation[] => {
    const refuse = (what: string, why: string): Violation[] => [{ rule: 'purity', file, line, what, why }];
    if (kind === 'dynamic') return refuse('import()', 'modules are loaded by an edge');
    if (kind === 'type' || specifier.startsWith('.') || purePackages.has(specifier)) return [];
    return refuse(specifier, 'a core imports no node:* and no package that does I/O');
  });
}

/**
 * Uses of global names. A property (`clock.Date`), a key (`performance: 1`) or a type (`when: Millis | Date`) of the
 * same name is something else.
 */
function mentions(file: string, source: string, rule: Rule, names: Record<string, string>): Violation[] {
  const tokens = tokenize(source);
  return tokens.flatMap((token, index): Violation[] => {
    if (token.kind !== 'word') return [];
    const [before, after] = [tokens[index - 1]?.text, tokens[index + 1]?.text];
    const isMember = before === '.' || before === '?.';
    const isKey = after === ':' && (before === '{' || before === ',' || before === ';');
    const isType = [':', '|', '&', '<'].includes(before ?? '') && !['.', '?.', '('].includes(after ?? '');
    const member = after === '.' || after === '?.' ? `${token.text}.${tokens[index + 2]?.text}` : undefined;
    const found = [
      isMember || isKey || isType ? undefined : token.text,
      member,
      isMember ? undefined : member && `${token.text}.`,
    ]
      .concat(token.text === 'localeCompare' ? 'localeCompare' : undefined)
      .find(name => name !== undefined && Object.hasOwn(names, name));
    return found === undefined ? [] : [{ rule, file, line: token.line, what: found, why: names[found] as string }];
  });
}

// ---------------------------------------------------------------------------------------------------------------
// (c) Every folder explains itself.  (d) No file outgrows a reader.  (e) Nothing is left for later.

export function checkReadmes(tree: Tree): Violation[] {
  const folders = Map.groupBy(sources(tree), file => posix.dirname(file));
  folders.delete('src');
  return [...folders].flatMap(([folder, files]): Violation[] => {
    const readme = `${folder}/README.md`;
    const text = tree.get(readme);
    const refuse = (what: string, why: string): Violation => ({ rule: 'readme', file: readme, line: 1, what, why });
    if (text === undefined)
      return [refuse('README.md', `is missing: it names what each of ${files.length} files is for`)];
    return files
      .map(file => posix.basename(file))
      .filter(name => !new RegExp(`(?<![\\w.-])${name.replaceAll('.', '\\.')}`).test(text))
      .map(name => refuse(name, 'is not named in the README of its folder'));
  });
}

export function checkLengths(tree: Tree): Violation[] {
  return sources(tree).flatMap((file): Violation[] => {
    const lines = (tree.get(file) as string).trimEnd().split('\n').length;
    if (lines <= linesMax) return [];
    return [
      {
        rule: 'length',
        file,
        line: lines,
        what: `${lines} lines`,
        why: `more than ${linesMax}: which decision is a file of its own?`,
      },
    ];
  });
}

export function checkLeftovers(tree: Tree): Violation[] {
  // Spelled in halves, or this file would find itself.
  const leftover = new RegExp(`\\b(?:${'TO'}DO|${'FIX'}ME)\\b|\\.only\\(|@ts${'-ignore'}`);
  return [...tree]
    .filter(([file]) => file.endsWith('.ts'))
    .flatMap(([file, source]) =>
      source.split('\n').flatMap((text, index): Violation[] => {
        const what = leftover.exec(text)?.[0];
        return what === undefined
          ? []
          : [{ rule: 'leftover', file, line: index + 1, what, why: 'do it now, or say it in an issue' }];
      }),
    );
}

/** Takes out what the table allows. What the table allows and nobody does is reported, so that the table stays true. */
export function except(violations: readonly Violation[], exceptions: readonly Exception[]): Violation[] {
  const covers = (exception: Exception) => (violation: Violation) =>
    exception.file === violation.file && exception.what === violation.what;
  const stale = exceptions.filter(exception => !violations.some(covers(exception)));
  return [
    ...violations.filter(violation => !exceptions.some(exception => covers(exception)(violation))),
    ...stale.map(
      ({ file, what }): Violation => ({
        rule: 'exception',
        file,
        line: 1,
        what,
        why: 'is excepted but not used: delete the row',
      }),
    ),
  ];
}

export const show = (violations: readonly Violation[]): string[] =>
  violations.map(({ rule, file, line, what, why }) => `${file}:${line} [${rule}] ${what}: ${why}`);

// ---------------------------------------------------------------------------------------------------------------

const sources = (tree: Tree): string[] =>
  [...tree.keys()].filter(file => file.startsWith('src/') && file.endsWith('.ts')).sort();

/** `import`, `export ... from` and `import()`, with what they cost: a type import is erased. */
export function importsOf(source: string): Import[] {
  const tokens = tokenize(source);
  return tokens.flatMap((token, index): Import[] => {
    const previous = tokens[index - 1]?.text;
    if (token.kind !== 'word' || previous === '.') return [];
    const next = tokens[index + 1];
    if (token.text === 'import' && next?.text === '(') {
      const [argument, after] = tokens.slice(index + 2, index + 4);
      if (argument?.kind === 'word' && (after?.text === ':' || after?.text === '?')) return []; // a method of that name
      // `import('./x.ts').T` in a type position looks the same as a call; both are refused in a core.
      return [
        { specifier: argument?.kind === 'string' ? argument.text : '(computed)', line: token.line, kind: 'dynamic' },
      ];
    }
    if (token.text === 'import' && next?.kind === 'string')
      return [{ specifier: next.text, line: token.line, kind: 'value' }];
    if (token.text !== 'import' && token.text !== 'export') return [];
    const from = fromClause(tokens, index + 1);
    return from === undefined
      ? []
      : [{ specifier: from, line: token.line, kind: next?.text === 'type' ? 'type' : 'value' }];
  });
}

/** The string after `from`, when the statement that begins here has one before anything ends it. */
function fromClause(tokens: readonly Token[], start: number): string | undefined {
  for (let i = start; i < tokens.length; i++) {
    const { kind, text } = tokens[i] as Token;
    const next = tokens[i + 1];
    if (kind === 'word' && text === 'from' && next?.kind === 'string') return next.text;
    const belongs = kind === 'word' || ['{', '}', ',', '*'].includes(text);
    if (!belongs || kind === 'string') return undefined;
  }
  return undefined;
}
