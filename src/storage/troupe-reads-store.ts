// Reading a shard: the segments that no run has yet, then the runs; of all versions of a key the one with the highest lsn.
//
//     get    index of each live segment ─▶ runs whose newest entry is newer than that ─▶ those whose filters say maybe
//     scan   ordered streams of all of them, merged (newest.ts)
//
// Hot: nearly every get finds its key in the first place it looks, and asks no run.
//
// Invariant: segments are looked at before the manifest. One that is given up in between is in a run that the manifest names already.

import { TroupeError } from '../errors.ts';
import { type BloomHash, bloomHash } from './bloom.ts';
import { type KeyName, nameOf } from './key.ts';
import { Newest, type Stream } from './newest.ts';
import { hashOf } from './segment-slot.ts';
import type { Found, ShardHandle } from './shard-handle.ts';
import type { SharedDisk } from './shared-disk.ts';
import type { TroupeLog } from './troupe-log-store.ts';
import type { TroupePlace } from './troupe-place.ts';
import type { RunPart, TroupeRuns } from './troupe-runs-store.ts';

type TroupeShard = ShardHandle<TroupePlace>;

export class TroupeReads {
  /** What find() has just returned comes from memory, which was checked when it was filled. */
  isChecked = false;
  readonly #disk: SharedDisk;
  readonly #log: TroupeLog;
  readonly #runs: TroupeRuns;
  readonly #bloom: BloomHash = new Uint32Array(2);

  constructor(disk: SharedDisk, log: TroupeLog, runs: TroupeRuns) {
    this.#disk = disk;
    this.#log = log;
    this.#runs = runs;
  }

  /** What is known of the shard, from the manifest of now. */
  look(shard: TroupeShard): TroupePlace {
    const { at } = shard;
    if (at.seen !== this.#disk.words.generation) this.#runs.look(shard.name, at);
    return at;
  }

  /** The newest committed record, encoded; the caller's own bytes. */
  find(shard: TroupeShard, key: Uint8Array): Uint8Array | undefined {
    for (;;) {
      const { number, seen } = this.look(shard);
      if (number === 0) return undefined;
      try {
        return this.#newest(shard, number, key);
      } catch (why) {
        this.#again(why, seen);
      }
    }
  }

  walk(shard: TroupeShard, from: Uint8Array | undefined, to: Uint8Array | undefined): Iterable<Found> {
    for (;;) {
      const { number, seen } = this.look(shard);
      if (number === 0) return [];
      const streams: Stream[] = [];
      try {
        for (const stream of this.#log.walk(number, from && nameOf(from), to && nameOf(to))) streams.push(stream);
        for (const { run } of this.look(shard).runs) streams.push(this.#runs.walk(run, number, from, to));
        return new Newest(streams, keyOfName);
      } catch (why) {
        for (const stream of streams) stream.end();
        this.#again(why, seen);
      }
    }
  }

  #newest(shard: TroupeShard, number: number, key: Uint8Array): Uint8Array | undefined {
    const hash = hashOf(number, key);
    const { slots } = this.#disk;
    let lsn = -1;
    let record: Uint8Array | undefined;
    for (let index = 0; index < slots.length; index++) {
      const hit = slots[index]?.get(hash, number, key);
      if (hit === undefined || hit.lsn <= lsn) continue;
      lsn = hit.lsn;
      record = hit.record;
    }
    this.isChecked = lsn >= 0;
    const { runs } = this.look(shard);
    let hashed = false;
    for (let index = 0; index < runs.length; index++) {
      const { run, lsnMax } = runs[index] as RunPart;
      if (lsnMax <= lsn) break;
      if (!hashed) bloomHash(number, key, this.#bloom);
      hashed = true;
      if (!run.mayHoldHash(number, key, this.#bloom)) continue;
      const hit = run.get(number, key);
      if (hit === undefined || hit.lsn <= lsn) continue;
      lsn = hit.lsn;
      record = hit.record;
      this.isChecked = false;
    }
    return record;
  }

  /**
   * A run may be merged away, and its file be gone, between our look at the manifest and the opening of that file: then the manifest
   * has changed, and we look again. Anything else is what it says.
   */
  #again(why: unknown, seen: number): void {
    const isMissing = why instanceof TroupeError && why.code === 'CORRUPT' && why.details.missing === true;
    if (!isMissing || seen === this.#disk.words.generation) throw why;
  }
}

function keyOfName(name: KeyName): Uint8Array {
  const key = new Uint8Array(name.length);
  for (let at = 0; at < key.length; at++) key[at] = name.charCodeAt(at);
  return key;
}
