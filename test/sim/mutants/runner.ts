// Makes one mistake in a copy of the sources and lets a process of its own explore it.
//
//     copy of src/ ──one place replaced──▶ child: seeds 1, 2, 3 ... ──▶ found at seed N, or not in all of them

import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { mutate } from '../../mutate.ts';
import type { Mutant } from './table.ts';

export interface Finding {
  /** The seed that found it; undefined: none did. */
  readonly seed: number | undefined;
  /** What was wrong: the first violation, or how the process ended. */
  readonly why: string | undefined;
  readonly seconds: number;
}

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Without a mutant the sources as they are: nothing may be found. `seconds`: after them it counts as found by its hanging. */
export async function find(
  scenario: string,
  mutant: Mutant | undefined,
  { seeds, seconds = 600 }: { seeds: number; seconds?: number },
): Promise<Finding> {
  const copy = mkdtempSync(join(tmpdir(), 'troupe-mutant-'));
  try {
    cpSync(join(root, 'src'), join(copy, 'src'), { recursive: true });
    cpSync(join(root, 'package.json'), join(copy, 'package.json'));
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    if (mutant !== undefined) {
      const file = join(copy, 'src', mutant.file);
      writeFileSync(file, mutate(readFileSync(file, 'utf8'), mutant));
    }
    return await watch(copy, scenario, seeds, seconds);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

async function watch(copy: string, scenario: string, seeds: number, seconds: number): Promise<Finding> {
  const startedAt = performance.now();
  const script = fileURLToPath(new URL('./child.ts', import.meta.url));
  const child = spawn(process.execPath, [script, copy, scenario, String(seeds)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: seconds * 1_000,
    killSignal: 'SIGKILL',
  });
  let last: { seed: number; violation?: string } | undefined;
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2_000);
  });
  createInterface({ input: child.stdout }).on('line', line => {
    last = JSON.parse(line) as typeof last;
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (...end) => resolve(end));
  });
  const took = (performance.now() - startedAt) / 1_000;
  if (last?.violation !== undefined) return { seed: last.seed, why: last.violation, seconds: took };
  if (code === 0) return { seed: undefined, why: undefined, seconds: took };
  // Before the first seed nothing was explored: the copy does not even load.
  if (last === undefined) throw new Error(`${scenario} of the copy does not run: ${said}`);
  const how = signal === null ? `it ended with ${code}: ${lineOf(said)}` : `it hung, or was killed (${signal})`;
  return { seed: last.seed, why: how, seconds: took };
}

const lineOf = (text: string): string => text.split('\n').find(line => /error/i.test(line)) ?? text.slice(0, 200);
