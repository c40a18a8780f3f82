// Which shards an LMDB environment holds, and where. All shards share one tree:
//
//     [0000][n][name]   -> number of the shard         [0000][c]        -> the next number
//     [0000][f][number] -> its fence (an epoch)        [0000][x][number] -> garbage: nobody's shard, to be removed
//     [number][key]     -> record                      [0000][i][number] -> an import under way, by which process
//     [0000][p] probe, [0000][t] token (fence-chain.ts)
//
// A name points to a number, so a whole shard is replaced, or dropped, by changing one record; what it held is removed
// later, a little at a time. A number is never used twice, so whoever still believes in an old one is told by the
// condition on the name's record, and looks again.
//
// Invariants: every record is under a number that a name points to, or that is marked as garbage or as an import. A number
// that a name points to has a fence.

import { TroupeError } from '../errors.ts';
import { purgeRecordsMax } from '../limits.ts';
import type { Crc32 } from './crc32.ts';
import { absent } from './fence-chain.ts';
import type { LmdbDisk } from './lmdb-disk-store.ts';
import { type Lmdb, lastVersion } from './lmdb-env-store.ts';
import { decodeRecord, encodeRecord, shardSeed } from './record.ts';
import { corrupt } from './refusals.ts';

const nothing = new Uint8Array(0);
/** Stands for the directory in messages; no shard can be called so. */
const directory = '(directory)';
const numberMax = 2 ** 32 - 2;

export class LmdbShards {
  readonly #db: Lmdb;
  readonly #crc: Crc32;
  readonly #seed: number;
  readonly #disk: LmdbDisk;
  readonly tokenKey: Uint8Array = metaKey('t');

  constructor(disk: LmdbDisk, crc: Crc32) {
    this.#disk = disk;
    this.#db = disk.db;
    this.#crc = crc;
    this.#seed = shardSeed(crc, directory);
  }

  /** The number of a shard, 0 for none. Throws CORRUPT. */
  locate(name: string): number {
    return this.readNumber(homeKey(name)) ?? 0;
  }

  names(): string[] {
    return [...this.#db.getKeys({ start: metaKey('n'), end: metaKey('o') })].map(key => latin1(key.subarray(5)));
  }

  /** Gives each name a number and a fence, unless someone else is faster. The caller locates them afterwards. */
  async allocate(names: readonly string[]): Promise<void> {
    const first = await this.#reserve(names.length);
    const writes = names.flatMap((name, index) => {
      const home = homeKey(name);
      const number = first + index;
      const fence = fenceKey(number);
      return [
        this.#db.put(home, this.encodeNumber(home, number), { version: number, noOverwrite: true }),
        this.#db.ifVersion(home, number, () => void this.#db.put(fence, this.encodeNumber(fence, 0), 0)),
      ];
    });
    await this.#disk.settle(writes);
  }

  /** Points a name at another number (0: at none), and marks what it pointed at before as garbage. Returns that. */
  async repoint(name: string, next: number): Promise<number> {
    for (;;) {
      const before = this.locate(name);
      const key = homeKey(name);
      const change = (): void => {
        if (next === 0) void this.#db.remove(key);
        else {
          void this.#db.put(key, this.encodeNumber(key, next), next);
          void this.#db.remove(markKey('i', next));
        }
        if (before !== 0) void this.#mark('x', before, nothing);
      };
      if (next === 0 && before === 0) return 0;
      const done = before === 0 ? this.#whenAbsent(key, change) : this.#db.ifVersion(key, before, change);
      const [happened] = await this.#disk.settle([done]);
      if (happened) return before;
    }
  }

  /** A number for an import: marked, so that what a dead process leaves unfinished is found. */
  async beginImport(token: string): Promise<number> {
    const number = await this.#reserve(1);
    await this.#disk.settle([this.#mark('i', number, bytesOf(token))]);
    return number;
  }

  /** The import will not be: what it has written is garbage. */
  async abandonImport(number: number): Promise<void> {
    await this.#disk.settle([this.#mark('x', number, nothing), this.#db.remove(markKey('i', number))]);
  }

  /**
   * Numbers whose records nobody will ask for again: garbage, and imports of processes that are gone. A damaged mark marks
   * nothing, and what a name points to is never garbage: better to keep too much than to remove a shard by a flipped bit.
   */
  garbage(token: string): number[] {
    const alive = new Set(this.names().map(name => this.locate(name)));
    const numbers: number[] = [];
    for (const tag of ['i', 'x'] as const) {
      for (const { key, value } of this.#db.getRange({
        start: metaKey(tag),
        end: metaKey(after(tag)),
        versions: true,
      })) {
        const mark = decodeRecord(this.#crc, this.#seed, key, value);
        const ours = tag === 'i' && mark.type === 'ok' && latin1(mark.record.value) === token;
        const number = new DataView(key.buffer, key.byteOffset + 5).getUint32(0);
        if (mark.type === 'ok' && !ours && !alive.has(number)) numbers.push(number);
      }
    }
    return numbers;
  }

  /** Removes some of the records under a garbage number. False when there are none left, and no mark either. */
  async purge(number: number): Promise<boolean> {
    const keys = [
      ...this.#db.getKeys({ start: recordKey(number), end: recordKey(number + 1), limit: purgeRecordsMax }),
    ];
    if (keys.length > 0) await this.#disk.settle(keys.map(key => this.#db.remove(key)));
    else
      await this.#disk.settle(
        [fenceKey(number), markKey('i', number), markKey('x', number)].map(key => this.#db.remove(key)),
      );
    return keys.length > 0;
  }

  /**
   * Fences rest on an option of lmdb-js that its documentation does not name. If a version of it should not know the
   * option any more, nothing may be written at all; so we ask it for three answers before the first group.
   */
  async probe(): Promise<void> {
    const key = metaKey('p');
    const ask = (version: number): Promise<boolean> => this.#db.ifVersion(key, version, () => {}, { ifLessThan: true });
    if (!this.#db.getBinary(key)) await this.#disk.settle([this.#db.put(key, this.encodeNumber(key, 5), 5)]);
    const answers = await this.#disk.settle([ask(4), ask(5), ask(6), this.#db.ifVersion(key, 6, () => {})]);
    if (answers.join() === 'false,true,true,false') return;
    throw new Error(`This version of lmdb does not compare fences as we need it (${answers.join()}): use lmdb 3.5.6.`);
  }

  /** Numbers are kept as records of their own, with the number in the place of the epoch, and as the version. */
  encodeNumber(key: Uint8Array, number: number): Uint8Array {
    return encodeRecord(this.#crc, this.#seed, key, number, nothing, nothing);
  }

  readNumber(key: Uint8Array): number | undefined {
    const bytes = this.#db.getBinary(key);
    if (!bytes || lastVersion() === absent) return undefined;
    const stamp = lastVersion();
    const decoded = decodeRecord(this.#crc, this.#seed, key, bytes);
    if (decoded.type === 'corrupt') throw corrupt(directory, key, decoded.reason);
    if (decoded.record.epoch !== stamp) throw corrupt(directory, key, 'its version differs');
    return stamp;
  }

  /** The first of so many numbers that nobody else has. */
  async #reserve(count: number): Promise<number> {
    const key = metaKey('c');
    for (;;) {
      const next = this.readNumber(key) ?? 1;
      if (next + count > numberMax) throw new TroupeError('BAD_OPTION', 'This storage has used up its shard numbers.');
      const take = (): void => void this.#db.put(key, this.encodeNumber(key, next + count), next + count);
      const known = this.#db.put(key, this.encodeNumber(key, 1), { version: 1, noOverwrite: true });
      const [, taken] = await this.#disk.settle([known, this.#db.ifVersion(key, next, take)]);
      if (taken) return next;
    }
  }

  /** As ifNoExists of lmdb-js, by way of a record that means nothing, and is gone when the transaction ends. */
  #whenAbsent(key: Uint8Array, change: () => void): Promise<boolean> {
    void this.#db.put(key, nothing, { version: absent, noOverwrite: true }).catch(() => {});
    return this.#db.ifVersion(key, absent, change);
  }

  #mark(tag: 'x' | 'i', number: number, value: Uint8Array): Promise<boolean> {
    const key = markKey(tag, number);
    return this.#db.put(key, encodeRecord(this.#crc, this.#seed, key, 0, nothing, value), 0);
  }
}

/** Made once a name: a read looks up where its shard is, and building this key cost as much as the lookup. */
const homes = new Map<string, Uint8Array>();

export function homeKey(name: string): Uint8Array {
  let home = homes.get(name);
  if (home === undefined) {
    home = metaKey('n', bytesOf(name));
    homes.set(name, home);
  }
  return home;
}

export function fenceKey(number: number): Uint8Array {
  return markKey('f', number);
}

/** Big endian, so that a shard's records stand together. */
export function recordKey(number: number, key: Uint8Array = nothing): Uint8Array {
  const physical = new Uint8Array(4 + key.length);
  physical[0] = number >>> 24;
  physical[1] = number >>> 16;
  physical[2] = number >>> 8;
  physical[3] = number;
  physical.set(key, 4);
  return physical;
}

function markKey(tag: string, number: number): Uint8Array {
  return metaKey(tag, recordKey(number));
}

function metaKey(tag: string, rest: Uint8Array = nothing): Uint8Array {
  const key = new Uint8Array(5 + rest.length);
  key[4] = tag.charCodeAt(0);
  key.set(rest, 5);
  return key;
}

function after(tag: string): string {
  return String.fromCharCode(tag.charCodeAt(0) + 1);
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, letter => letter.charCodeAt(0));
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
