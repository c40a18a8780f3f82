// The LMDB environment as we use it: one file for all shards of a node, opened by every thread of the process.
//
// What lmdb-js 3.5.6 does, measured with strace (a 300 ms delay on fdatasync; README.md, "What committed means"):
//   - A write's promise resolves after the fdatasync and the synced meta page, so what it resolves is flushed. Its
//     `db.flushed` resolves in the same turn. That holds with and without overlappingSync, whatever its README says.
//   - With overlappingSync other readers see a transaction before it is on the disk; without it, only after. Without it
//     two threads commit 1.6 times as much between them, for the next transaction does not wait for two meta pages.
//   - All writes of one turn of the event loop become one transaction, carried out by a thread of libuv's pool. Our own
//     threads never wait for the disk, and never hold LMDB's one write lock while they run JavaScript.
//
// Invariant: nothing here is called again after a failed commit. lmdb-js goes on after one and corrupts the heap
// (research/pitfalls.md F4, F8).

import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  statfsSync,
} from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';
import { TroupeError } from '../errors.ts';
import { readersMax } from '../limits.ts';
import { headBytes, headerDamage } from './lmdb-header.ts';
import { diskFull } from './refusals.ts';

/** A read transaction that stays as it is until done() is called. */
export interface Snapshot {
  done(): void;
}

export interface LmdbRange {
  readonly start?: Uint8Array;
  readonly end?: Uint8Array;
  readonly limit?: number;
  readonly transaction?: Snapshot;
}

export interface LmdbEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly version: number;
}

/** What of lmdb-js we use. Its own types leave out the options of ifVersion. Promises resolve false when a condition was not met. */
export interface Lmdb {
  /** The bytes are a copy, and the caller's. */
  getBinary(key: Uint8Array): Uint8Array | undefined;
  put(
    key: Uint8Array,
    value: Uint8Array,
    version: number | { version: number; noOverwrite: boolean },
  ): Promise<boolean>;
  remove(key: Uint8Array): Promise<boolean>;
  /** Carries out what `then` writes if the key exists with exactly this version; with ifLessThan, with this one or a lower one. */
  ifVersion(key: Uint8Array, version: number, then: () => void, options?: { ifLessThan: boolean }): Promise<boolean>;
  getRange(range: LmdbRange & { readonly versions: true }): Iterable<LmdbEntry>;
  getKeys(range: LmdbRange): Iterable<Uint8Array>;
  getKeysCount(range: LmdbRange): number;
  useReadTransaction(): Snapshot;
  /** Gives the snapshot of this turn up: the next read begins another. */
  resetReadTxn(): void;
  addListener(event: 'begin-transaction', fn: () => void): void;
  close(): Promise<void>;
}

/** Room that must be there for a file to be made. LMDB takes 20 KiB at once, and dies of SIGSEGV if it does not get them. */
const birthBytes: number = 1 << 20;

/** LMDB's own code for a file that is none of its own. */
const lmdbInvalid = -30_793;

/** lmdb-js must not open one environment twice in a thread; this module exists once a thread. */
const openHere = new Set<string>();

/**
 * Throws CORRUPT when LMDB refuses what is in the file, DISK_FULL when there is no room to make one, BAD_OPTION when it cannot
 * be opened for any other reason.
 */
export function openLmdb(dir: string): Lmdb {
  const real = makeDir(dir);
  if (openHere.has(real)) {
    throw new TroupeError(
      'BAD_OPTION',
      `This thread has the storage in ${real} open already: close that engine first.`,
    );
  }
  const file = join(real, 'data.mdb');
  if (!existsSync(file) && freeBytes(real) < birthBytes) throw diskFull(freeBytes(real), birthBytes);
  const damage = damageOf(file);
  if (damage) throw unopened(real, { code: lmdbInvalid, message: damage });
  let db: Lmdb;
  try {
    db = open({
      path: real,
      // A directory, whatever its name looks like.
      noSubdir: false,
      encoding: 'binary',
      keyEncoding: 'binary',
      // Eight bytes before each value that conditions are compared with: our fences.
      useVersions: true,
      overlappingSync: false,
      maxReaders: readersMax,
      // By default a transaction starts after 1,000 writes although the turn is not over. Should the thread be terminated
      // then, the transaction waits for the rest for ever, and with it every writer of the process.
      batchStartThreshold: 1e9,
    } as Parameters<typeof open>[0]) as unknown as Lmdb;
  } catch (cause) {
    throw unopened(real, cause);
  }
  openHere.add(real);
  const close = db.close.bind(db);
  db.close = () => close().finally(() => openHere.delete(real));
  return db;
}

/** Another thread may be at work on the file: what it has half written when we look is whole when we look again. */
function damageOf(path: string): string | undefined {
  let damage: string | undefined;
  for (let look = 0; look < 3; look++) {
    if (!existsSync(path)) return undefined;
    const file = openSync(path, 'r');
    try {
      const head = new Uint8Array(headBytes);
      const bytes = readSync(file, head, 0, headBytes, 0);
      damage = headerDamage(head.subarray(0, bytes), fstatSync(file).size);
    } finally {
      closeSync(file);
    }
    if (!damage) return undefined;
  }
  return damage;
}

function makeDir(dir: string): string {
  try {
    mkdirSync(dir, { recursive: true });
    return realpathSync(dir);
  } catch (cause) {
    throw unopened(dir, cause);
  }
}

/** LMDB's own codes are far below zero, and speak of the contents; the others are the system's. */
function unopened(dir: string, cause: unknown): TroupeError {
  const { code, message } = cause as { code?: unknown; message: string };
  const damaged = typeof code === 'number' && code < -30_000;
  return new TroupeError(damaged ? 'CORRUPT' : 'BAD_OPTION', `The storage in ${dir} cannot be opened: ${message}`, {
    details: { dir },
    cause,
  });
}

/** What getLastVersion() of lmdb-js says: the version of what getBinary has just found. */
export { getLastVersion as lastVersion } from 'lmdb';

/** Bytes that an unprivileged process may still write. 6 us. */
export function freeBytes(dir: string): number {
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize;
}

/**
 * Tells this process from every other one, before and after: with a process id alone, the first process of a container
 * is always the same. Where there is no /proc we take an earlier process of our id for ourselves.
 */
export function processToken(): string {
  try {
    // Field 22 is the start time; the second field, the name, may contain spaces and ends with the last parenthesis.
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${process.pid}-${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}-${bootId}`;
  } catch {
    return `${process.pid}`;
  }
}
