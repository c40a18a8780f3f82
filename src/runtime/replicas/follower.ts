// A node that keeps a copy of a partition for its owner, as the owner sees it.
//
//     away ──link──▶ begun ──has less, or other──▶ copying ──▶ following: what was written, in rounds ──link lost──▶ away
//                      └──has all but what waits here──────────▶┘
//
// Intuition: what waits for it is the latest state of each key that was written, so a follower that is slow or away for a moment costs a
// record a key, and what it is sent is one moment of the partition, whatever was written meanwhile.
//
// Invariant: once `whole`, what it has acknowledged and what waits here is all that there is. `acked` is a round whose records it has.

import { TroupeError } from '../../errors.ts';
import { followerBytesMax, handoffDirtyMax, handoffPageBytes, handoffPageRecords } from '../../limits.ts';
import { nameOf } from '../../storage/key.ts';
import type { Page, Part } from '../handoff/hands-records.ts';
import type { Pages } from '../handoff/pages.ts';
import type { RecordCopy } from '../moving-records.ts';
import { comparePositions, type Groups, type Position } from './groups.ts';

/** What it says of itself when it is begun with. */
export interface Begun extends Position {
  readonly whole: boolean;
  /** Shards that lie there. */
  readonly shards: readonly string[];
}

export interface FollowerSeams {
  readonly name: string;
  /**
   * Where its copy must be to need no copying. Undefined: the owner's own may have writes that nobody has been sent; or this follower has come
   * later, and there were writes that it was not told of.
   */
  readonly origin: Position | undefined;
  ask<T>(word: string, payload: object): Promise<T>;
  isLinked(): boolean;
  pages(goesOn: () => void): Pages;
  /** One copy of a partition at a time: whoever is being copied may not own it meanwhile. */
  inTurn(copy: () => Promise<void>): Promise<void>;
  /** Resolves when all that is being written now has been pushed, or is over. */
  barrier(): Promise<unknown>;
  /** The last one there is, and the groups that hold in it. */
  round(): number;
  groups(): Groups;
  onAcked(): void;
  /** It has not worked: told, and tried again when `wait` resolves. */
  onFailed(error: unknown): Promise<void>;
}

type Entry = readonly [shard: string, key: Uint8Array, record: RecordCopy | null];

export class Follower {
  readonly name: string;
  /** The last round that it has; -1: none of this owner's. */
  acked = -1;
  #seams: FollowerSeams;
  #isOver = false;
  #whole = false;
  /** What is written is noted here. */
  #collects: boolean;
  /** Everything that was written since `origin` waits here. */
  #sinceOrigin: boolean;
  /** From this round on its copy is what the round says, and not more. */
  #exactFrom = Number.POSITIVE_INFINITY;
  #copies = 0;
  #waiting = new Map<string, Entry>();
  /** Of what waits. */
  #bytes = 0;
  #underWay: ReadonlyMap<string, Entry> = new Map();
  #stir: (() => void) | undefined;

  constructor(seams: FollowerSeams) {
    this.name = seams.name;
    this.#seams = seams;
    this.#sinceOrigin = seams.origin !== undefined;
    this.#collects = this.#sinceOrigin;
    void this.#go();
  }

  get isFollowing(): boolean {
    return this.#whole && this.acked >= 0;
  }

  /** And it is not away. */
  get isThere(): boolean {
    return this.isFollowing && this.#seams.isLinked();
  }

  end(): void {
    this.#isOver = true;
    this.look();
  }

  /** It has to be compared with what is here, page by page. */
  anew(): void {
    this.#collects = false;
    this.#sinceOrigin = false;
    this.#whole = false;
    this.#forget();
    this.look();
  }

  #forget(): void {
    this.#waiting = new Map();
    this.#underWay = new Map();
    this.#bytes = 0;
  }

  /** There is something new: a write, a round, a link. */
  look(): void {
    this.#stir?.();
    this.#stir = undefined;
  }

  /** Written by the owner. What comes before a copy is begun is in it. */
  add(parts: readonly Part[]): void {
    if (!this.#collects) return;
    for (const [shard, records, gone] of parts) {
      for (const record of records) this.#note([shard, record[0], record]);
      for (const key of gone) this.#note([shard, key, null]);
    }
    // Too much to remember.
    if (this.#waiting.size > handoffDirtyMax || this.#bytes > followerBytesMax) this.anew();
  }

  #note(entry: Entry): void {
    const id = `${entry[0]} ${nameOf(entry[1])}`;
    const before = this.#waiting.get(id);
    this.#bytes += sizeOf(entry) - (before === undefined ? 0 : sizeOf(before));
    this.#waiting.set(id, entry);
  }

  async #go(): Promise<void> {
    while (!this.#isOver) {
      if (!this.#seams.isLinked()) {
        await this.#stirred();
        continue;
      }
      try {
        await this.#begin();
        while (!this.#isOver) {
          if (!this.#whole) throw new TroupeError('STOPPED', `what ${this.name} has is to be compared`);
          if (this.acked < this.#seams.round()) await this.#send();
          else await this.#stirred();
          if (!this.#seams.isLinked()) break;
        }
      } catch (error) {
        if (!this.#isOver) await this.#seams.onFailed(error);
      }
    }
  }

  #stirred(): Promise<void> {
    return new Promise(stirred => {
      this.#stir = stirred;
    });
  }

  async #begin(): Promise<void> {
    const { ask, origin } = this.#seams;
    const begun = await ask<Begun>('rep-begin', { copy: false });
    const hasAll = this.#whole && begun.whole && begun.round >= this.acked && this.acked >= 0;
    if (hasAll) return;
    const isLike = origin !== undefined && begun.whole && comparePositions(begun, origin) === 0;
    if (isLike && this.#sinceOrigin) {
      this.#whole = true;
      this.#exactFrom = 0;
      return;
    }
    await this.#seams.inTurn(() => this.#copy());
    this.#exactLater();
  }

  /**
   * Pages show what was just being written, and nobody had been sent yet: once that is over, its rounds are what everybody's are. Not waited
   * for: what is being written may wait for this one.
   */
  #exactLater(): void {
    const { barrier, round } = this.#seams;
    const copy = this.#copies;
    barrier().then(
      () => {
        if (this.#copies === copy) this.#exactFrom = round();
      },
      () => undefined,
    );
  }

  /** Pages that are there already are not sent again. */
  async #copy(): Promise<void> {
    const { ask, pages } = this.#seams;
    this.#whole = false;
    this.#sinceOrigin = false;
    this.#exactFrom = Number.POSITIVE_INFINITY;
    this.#copies++;
    this.#forget();
    this.#collects = !this.#isOver;
    const goesOn = (): void => {
      if (this.#isOver || !this.#collects) throw new TroupeError('STOPPED', `the copy for ${this.name} was called off`);
    };
    const { shards } = await ask<Begun>('rep-begin', { copy: true });
    const source = pages(goesOn);
    const places = await source.places();
    const there = new Set(shards);
    await source.bring(places, there, (page, from) => this.#bring(page, from));
    const here = new Set(places.map(([, shard]) => shard));
    for (const shard of shards)
      if (!here.has(shard)) await this.#store([[shard, [], []]], { shard, from: null, to: null });
    goesOn();
    this.#whole = true;
    // Also with nothing to send: until then it does not count as whole over there.
    await this.#send();
  }

  async #bring({ part, digest, next }: Page, from: Uint8Array | null): Promise<void> {
    const span = { shard: part[0], from, to: next };
    if (digest === null) return this.#store([part]);
    if (await this.#seams.ask<boolean>('rep-same', { span, digest })) return;
    await this.#store([part], span);
  }

  async #store(parts: readonly Part[], span?: object): Promise<void> {
    await this.#seams.ask('rep-store', span === undefined ? { parts } : { parts, span });
  }

  /** All that waits, as one round. */
  async #send(): Promise<void> {
    const { ask, round, groups } = this.#seams;
    // What was under way when a link broke may have come, or not.
    const entries = new Map([...this.#underWay, ...this.#waiting]);
    this.#underWay = entries;
    this.#waiting = new Map();
    this.#bytes = 0;
    const upTo = round();
    const isExact = upTo >= this.#exactFrom;
    const pages = inPages([...entries.values()]);
    // They are kept until the last is there, and stored with it.
    for (const parts of pages.slice(0, -1)) await ask('rep-part', { parts });
    await ask('rep-round', { round: upTo, groups: groups(), isExact, parts: pages.at(-1) ?? [] });
    if (this.#underWay === entries) this.#underWay = new Map();
    this.acked = Math.max(this.acked, upTo);
    this.#seams.onAcked();
  }
}

function sizeOf([, key, record]: Entry): number {
  return key.length + (record?.[1].length ?? 0) + (record?.[2].length ?? 0);
}

function inPages(entries: readonly Entry[]): Part[][] {
  const pages: Part[][] = [];
  for (let at = 0; at < entries.length; ) {
    const parts = new Map<string, { records: RecordCopy[]; gone: Uint8Array[] }>();
    let bytes = 0;
    for (let count = 0; at < entries.length && count < handoffPageRecords && bytes < handoffPageBytes; count++, at++) {
      const [shard, key, record] = entries[at] as Entry;
      const part = parts.get(shard) ?? { records: [], gone: [] };
      parts.set(shard, part);
      bytes += sizeOf(entries[at] as Entry);
      if (record === null) part.gone.push(key);
      else part.records.push(record);
    }
    pages.push([...parts].map(([shard, { records, gone }]): Part => [shard, records, gone]));
  }
  return pages;
}
