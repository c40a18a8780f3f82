// Gauges whose readings come from processes of their own (child.ts): what is killed and comes back, what opening costs as data
// grows, what vnodes cost.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Contender } from '../harness.ts';
import { emptyFolder } from '../store/side.ts';

const child = fileURLToPath(new URL('./child.ts', import.meta.url));
const env = { PATH: process.env.PATH };
const args = (verb: string, ...rest: readonly (string | number)[]): string[] => [
  '--expose-gc',
  child,
  verb,
  ...rest.map(String),
];
const mib = (bytes: number): number => bytes / 2 ** 20;

async function ask<Answer>(verb: string, ...rest: readonly (string | number)[]): Promise<Answer> {
  const { stdout } = await promisify(execFile)(process.execPath, args(verb, ...rest), { env }).catch(
    (thrown: { stderr?: string }) => {
      throw new Error(/^\w*Error\b.*$/m.exec(thrown.stderr ?? '')?.[0] ?? String(thrown));
    },
  );
  return JSON.parse(stdout) as Answer;
}

async function inFolder<Value>(work: (folder: string) => Promise<Value>): Promise<Value> {
  const folder = emptyFolder();
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Written by one process, which is killed; read by the next. */
export const recovery = (): Contender => ({
  name: 'troupe',
  run: n =>
    inFolder(async folder => {
      const { segments, bytes } = await writeAndKill(folder, n);
      const { found, readyMs, settledMs, memory } = await ask<{
        found: number;
        readyMs: number;
        settledMs: number;
        memory: number;
      }>('recover', folder, n);
      return {
        done: found,
        value: (readyMs * 1_000) / n,
        more: {
          'records/s': (n / readyMs) * 1_000,
          'ms until ready': readyMs,
          'ms until flushed': settledMs,
          segments,
          'MiB of log': mib(bytes),
          'RssAnon MiB': mib(memory),
        },
      };
    }),
});

async function writeAndKill(folder: string, n: number): Promise<{ segments: number; bytes: number }> {
  const writer = spawn(process.execPath, args('log', folder, n), { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = (): void => void writer.kill('SIGKILL');
  process.once('exit', kill);
  const ended = once(writer, 'exit');
  try {
    return JSON.parse(await firstLine(writer)) as { segments: number; bytes: number };
  } finally {
    kill();
    await ended;
    process.off('exit', kill);
  }
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  let text = '';
  for await (const piece of stdout ?? []) {
    text += String(piece);
    if (text.endsWith('\n')) return text;
  }
  throw new Error('the writer ended before it had written all');
}

/** Loaded once; each reading opens it in a process of its own. */
export function startUp(engine: 'troupe' | 'level'): Contender {
  const folders = new Map<number, { folder: string; seconds: number; bytes: number }>();
  const loaded = async (records: number): Promise<{ folder: string; seconds: number; bytes: number }> => {
    let known = folders.get(records);
    if (known === undefined) {
      const folder = emptyFolder();
      folders.set(records, { folder, seconds: 0, bytes: 0 }); // to be removed also if loading fails
      known = { folder, ...(await ask<{ seconds: number; bytes: number }>('load', engine, folder, records)) };
      folders.set(records, known);
    }
    return known;
  };
  return {
    name: engine,
    async run(n) {
      const { folder, seconds, bytes } = await loaded(n);
      const { found, readyMs, firstGetMs, ...rest } = await ask<{
        found: number;
        readyMs: number;
        firstGetMs: number;
        memory: number;
        memoryAfterGets: number;
        getUs: number;
        handles: number;
      }>('open', engine, folder, n);
      return {
        done: found,
        value: readyMs,
        more: {
          'ms to first get': firstGetMs,
          'RssAnon MiB': mib(rest.memory),
          'after gets': mib(rest.memoryAfterGets),
          'get us': rest.getUs,
          handles: rest.handles,
          'MiB on disk': mib(bytes),
          'loaded, records/s': n / seconds,
        },
      };
    },
    teardown() {
      for (const { folder } of folders.values()) rmSync(folder, { recursive: true, force: true });
    },
  };
}

export const vnodes = (count: number): Contender => ({
  name: `troupe, ${count} vnodes`,
  run: n =>
    inFolder(async folder => {
      const { found, memory, handles, bareMemory, bareHandles } = await ask<{
        found: number;
        memory: number;
        handles: number;
        bareMemory: number;
        bareHandles: number;
      }>('vnodes', folder, count, n);
      return {
        done: found,
        value: mib(bareMemory + memory),
        more: { 'without a store': mib(bareMemory), handles: bareHandles + handles, 'of them the store': handles },
      };
    }),
});
