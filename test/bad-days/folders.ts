// Directories and small disks for the tests of this folder, gone when the test is.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Node, type NodeOptions, startNode } from '../../src/index.ts';

export function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'troupe-bad-day-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A node that is stopped when the test is over, whatever came of it. */
export async function startedNode(options: NodeOptions): Promise<Node> {
  const node = await startNode(options);
  onTestFinished(() => node.stop({ drainMs: 1_000 }));
  return node;
}

/** A disk of its own of so many bytes, or the reason why there is none (it takes root). */
export function smallDisk(bytes: number): string | { readonly path: string } {
  const path = join(newDir(), 'disk');
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path], { stdio: 'pipe' });
  } catch (why) {
    return String((why as { stderr?: unknown }).stderr ?? why).trim();
  }
  onTestFinished(() => void execFileSync('umount', ['-l', path]));
  return { path };
}

/** How a promise ends: its value, or the error. */
export function ending<T>(
  promise: Promise<T>,
): Promise<T | (Error & { code?: string; details?: Record<string, unknown> })> {
  return promise.catch(error => error);
}

/** 'ok', or the code of the error a promise ends with. */
export function code(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'ok',
    error => String(error?.code ?? error),
  );
}

/** Waits for what comes about by itself; the time limit of the test ends it. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setTimeout(resolve, 5));
}
