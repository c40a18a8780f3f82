// Starts store-child.ts and listens to it.

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

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
  let text = '';
  let errors = '';
  let waiting: (() => void)[] = [];
  const wake = (): void => {
    for (const each of waiting) each();
    waiting = [];
  };
  child.stdout.on('data', data => {
    text += data;
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    said.push(...lines.map(line => JSON.parse(line)));
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
