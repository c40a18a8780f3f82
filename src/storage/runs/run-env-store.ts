// lmdb-js as runs use it: files that are written once by one thread, and then read by many.
//
// What lmdb-js 3.5.6 does here:
//   - All threads of a process that open one file share one environment below; but one thread must not open a file twice.
//     So this module keeps a table, one a thread, and counts the users of each file.
//   - A reader makes `<file>-lock` beside the file even when it opens for reading only, and MDB_NOLOCK is not to be had. For
//     a file that never changes, whatever is in the lock file does no harm.
//   - Without a transaction of ours, the first read of each turn of the event loop begins one and sets a timer that ends it, for
//     each file. A file that never changes has one snapshot: we take it once and keep it, and a read costs that much less.
//   - A transaction is never ended while a cursor of it is open: that is SIGSEGV.
//   - A file that is none of LMDB's, or that ends too early, is SIGSEGV or SIGBUS: its head and its length are looked at first.
//
// Invariant: what is not whole is never given to LMDB, and no path is open twice in a thread.

import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { open } from 'lmdb';
import { TroupeError } from '../../errors.ts';
import { readersMax } from '../../limits.ts';
import { headBytes, headerDamage } from '../lmdb-header.ts';

/** What of lmdb-js runs use. */
export interface RunDb {
  /** The bytes are shared: the next call overwrites them, and their length is a property of their own. */
  getBinaryFast(place: Uint8Array, options: { readonly transaction: RunSnapshot }): Uint8Array | undefined;
  /** Keys and values are copies. */
  getRange(range: {
    readonly start?: Uint8Array;
    readonly end?: Uint8Array;
    readonly transaction: RunSnapshot;
  }): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>;
  useReadTransaction(): RunSnapshot;
  /** What `change` returns must not be a promise, such as what put() returns: the transaction would stay open behind our back. */
  transactionSync(change: () => undefined): void;
  /** Inside transactionSync: carried out at once, so the bytes may be used again. Says nothing when it fails. */
  put(place: Uint8Array, value: Uint8Array, options: { readonly append: true }): unknown;
  getStats(): { readonly entryCount: number };
  close(): Promise<void>;
}

export interface RunSnapshot {
  done(): void;
}

/** A file that is open for reading. */
export interface RunEnv {
  readonly db: RunDb;
  readonly snapshot: RunSnapshot;
  /** Gives it back; the last user of this thread closes it. All cursors must have been closed. */
  release(): void;
}

interface Shared {
  readonly db: RunDb;
  readonly snapshot: RunSnapshot;
  users: number;
}

const openHere = new Map<string, Shared>();

const common = {
  noSubdir: true,
  encoding: 'binary',
  keyEncoding: 'binary',
  maxReaders: readersMax,
  maxDbs: 1,
} as const;

/** `bytes`: how long the file must be. Throws CORRUPT when it is not there, or is not what was written. */
export function openForReading(path: string, bytes: number): RunEnv {
  const real = realOf(path);
  let shared = openHere.get(real);
  if (!shared) {
    const damage = damageOf(real, bytes);
    if (damage) throw runCorrupt(path, damage);
    const db = openLmdbFile(real, { readOnly: true, noReadAhead: true });
    shared = { db, snapshot: db.useReadTransaction(), users: 0 };
    openHere.set(real, shared);
  }
  const { db, snapshot } = shared;
  shared.users++;
  let held = true;
  const release = (): void => {
    if (!held) return;
    held = false;
    if (--shared.users > 0) return;
    openHere.delete(real);
    snapshot.done();
    void db.close();
  };
  return { db, snapshot, release };
}

/**
 * A new file. Nothing is synced: the writer does that itself, once, when LMDB has closed the file; until then the file means
 * nothing to anybody. `mapBytes` is address space, not memory: with enough of it the map is not made anew while it grows.
 */
export function openForWriting(path: string, mapBytes: number): RunDb {
  return openLmdbFile(path, { noSync: true, overlappingSync: false, mapSize: mapBytes });
}

function openLmdbFile(path: string, options: object): RunDb {
  try {
    return open({ path, ...common, ...options } as Parameters<typeof open>[0]) as unknown as RunDb;
  } catch (cause) {
    throw runCorrupt(path, `LMDB says ${(cause as Error).message}`, cause);
  }
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw missing(path, cause);
  }
}

function damageOf(path: string, bytes: number): string | undefined {
  const { size } = statSync(path);
  if (size !== bytes) return `it has ${size} bytes, and was written with ${bytes}`;
  const file = openSync(path, 'r');
  try {
    const head = new Uint8Array(headBytes);
    return headerDamage(head.subarray(0, readSync(file, head, 0, headBytes, 0)), size);
  } finally {
    closeSync(file);
  }
}

export function runCorrupt(path: string, reason: string, cause?: unknown): TroupeError {
  return new TroupeError('CORRUPT', `The run ${path} is damaged: ${reason}.`, {
    details: { file: basename(path), reason },
    cause,
  });
}

/** `missing` in the details: whoever has an old list of runs looks at the new one. */
function missing(path: string, cause: unknown): TroupeError {
  return new TroupeError('CORRUPT', `The run ${basename(path)} is not in ${dirname(path)}.`, {
    details: { file: basename(path), path: join(dirname(path), basename(path)), missing: true },
    cause,
  });
}
