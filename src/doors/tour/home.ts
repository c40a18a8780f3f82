// The tour's directory: fresh when it begins, gone when it ends unless somebody asked to keep it.
//
// Invariant: nothing is removed but a directory that this process has made under the system's folder for temporary files.

import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { UsageError } from '../usage.ts';

export interface Home {
  readonly dir: string;
  readonly keeps: boolean;
  /** Safe to call twice. */
  remove(): void;
}

/** Throws UsageError when the directory asked for is not empty: a tour must not touch data it has not written. */
export function makeHome(asked: string | undefined): Home {
  if (asked !== undefined) {
    const dir = resolve(asked);
    mkdirSync(dir, { recursive: true });
    if (readdirSync(dir).length > 0) throw new UsageError(`--data-dir: ${dir} is not empty; name a directory that is`);
    return { dir, keeps: true, remove: () => undefined };
  }
  const dir = mkdtempSync(join(tmpdir(), 'troupe-tour-'));
  return { dir, keeps: false, remove: () => rmSync(dir, { recursive: true, force: true }) };
}
