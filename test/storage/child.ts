// Starts store-child.ts, listens to it, and looks at what it has left behind.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LmdbStore } from '../../src/storage/lmdb-store.ts';
import { bytes, text } from './conformance.ts';

export interface Child {
  readonly process: ChildProcess;
  /** What it has said so far, a JSON value a line. */
  readonly said: unknown[];
  readonly errors: () => string;
  /** Resolves when it has said something more, or has ended. */
  more(): Promise<void>;
  /** Resolves with the signal or exit code it ended with. */
  readonly end: Promise<string | number | null>;
}

export function startChild(...args: string[]): Child {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'store-child.ts'), ...args]);
  const said: unknown[] = [];
  let line = '';
  let errors = '';
  let waiting: (() => void)[] = [];
  const wake = (): void => {
    for (const each of waiting) each();
    waiting = [];
  };
  child.stdout.on('data', data => {
    line += data;
    const lines = line.split('\n');
    line = lines.pop() ?? '';
    said.push(...lines.map(each => JSON.parse(each)));
    wake();
  });
  child.stderr.on('data', data => {
    errors += data;
  });
  const end = new Promise<string | number | null>(done => {
    child.on('close', (code, signal) => {
      done(signal ?? code);
      wake();
    });
  });
  return {
    process: child,
    said,
    errors: () => errors,
    more: () => new Promise(done => waiting.push(done)),
    end,
  };
}

/** Numbers of a file of acknowledgements, without a last line that was cut. */
export function acknowledged(file: string): number[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1).map(Number) : [];
}

/** Which of the numbered groups of store-child.ts are not there whole. */
export function missing(store: LmdbStore, numbers: readonly number[]): number[] {
  return numbers.filter(n => {
    const shard = store.shard(`s/${n % 4}`);
    return ['a', 'b'].some(part => text(shard.get(bytes(`${part}${n}`))) !== `${n}`.padEnd(500, '.'));
  });
}

/** Groups of which one record is there and the other is not. */
export function torn(store: LmdbStore): string[] {
  return [0, 1, 2, 3].flatMap(s => {
    const keys = new Set([...store.shard(`s/${s}`).scan()].map(({ key }) => new TextDecoder().decode(key)));
    return [...keys].filter(key => !keys.has(`${key.startsWith('a') ? 'b' : 'a'}${key.slice(1)}`));
  });
}
