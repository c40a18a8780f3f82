// One batch of groups as one LMDB transaction.
//
//     admit       what the disk has room for            (disk-room.ts)
//     locate      the number of each shard; a new one if it has none
//     issue       a chain of conditions a shard         (fence-chain.ts)
//     settle      one transaction, one fdatasync
//     judge       written: done. A fence was higher: FENCED. The shard has moved meanwhile: again.
//
// Invariant: within a shard the groups that are written are those before the first that is not.

import { TroupeError } from '../errors.ts';
import { admit, growthOf } from './disk-room.ts';
import { type ChainPlace, issueChain, type Link } from './fence-chain.ts';
import type { Verdict } from './group-commit.ts';
import type { LmdbDisk } from './lmdb-disk-store.ts';
import { lastVersion } from './lmdb-env-store.ts';
import { fenceKey, homeKey, type LmdbShards, recordKey } from './lmdb-shards-store.ts';
import type { PendingGroup } from './pending-writes.ts';
import { diskFull, fenced } from './refusals.ts';
import type { ShardHandle } from './shard-handle.ts';

export interface Place {
  /** The shard's number when it was last looked up; 0 for none. */
  number: number;
  /** The snapshot it was looked up in; -1: look again. */
  seenIn: number;
  /** The highest epoch this engine has written as the shard's fence; -1 for none. */
  fence: number;
}

export type LmdbShard = ShardHandle<Place>;
type Group = PendingGroup<LmdbShard>;

/** The groups of one shard in a batch: where they stand in it, and what is issued for them. */
interface Share {
  readonly shard: LmdbShard;
  /** The shard's number when they were issued. A read may find another one while the transaction is under way. */
  number: number;
  readonly indices: number[];
  /** For each group, which link carries it. */
  readonly linkOf: number[];
  readonly links: Link[];
}

export class LmdbCommits {
  readonly #disk: LmdbDisk;
  readonly #shards: LmdbShards;
  /** LMDB has shown that it compares fences as we need it. */
  #proven = false;

  constructor(disk: LmdbDisk, shards: LmdbShards) {
    this.#disk = disk;
    this.#shards = shards;
  }

  async apply(batch: readonly Group[]): Promise<Verdict[]> {
    const verdicts = new Array<Verdict>(batch.length).fill('again');
    const shares = this.#admit(batch, verdicts);
    if (shares.length === 0) return verdicts;
    if (!this.#proven) {
      await this.#shards.probe();
      this.#proven = true;
    }
    await this.#locate(shares, verdicts);
    const outcomes: Promise<boolean>[] = [];
    for (const share of shares) {
      if (share.indices.length === 0) continue;
      plan(share, batch, key => this.#shards.encodeNumber(key.key, key.number));
      const { located, written } = issueChain(this.#disk.db, this.#placeOf(share), share.links);
      outcomes.push(located, ...written);
    }
    const answers = await this.#disk.settle(outcomes);
    let at = 0;
    for (const share of shares) {
      if (share.indices.length === 0) continue;
      const located = answers[at] as boolean;
      const written = answers.slice(at + 1, at + 1 + share.links.length);
      at += 1 + share.links.length;
      if (located) this.#judge(share, batch, written, verdicts);
      // Another thread has dropped or replaced the shard: nothing was written, and the next look shows where it is.
      else if (share.shard.at.number === share.number) become(share.shard.at, 0);
    }
    return verdicts;
  }

  /** Sorts the batch by shard; what has no room is refused, and holds back what stands behind it. */
  #admit(batch: readonly Group[], verdicts: Verdict[]): Share[] {
    const { free, lowWater } = this.#disk;
    const seekers = batch.map(({ puts, writes }) => ({
      puts,
      growth: growthOf(writes.map(({ key, record }) => key.length + (record?.length ?? 0))),
    }));
    const admissions = admit(seekers, free, lowWater);
    const shares = new Map<LmdbShard, Share>();
    const held = new Set<LmdbShard>();
    batch.forEach(({ owner: shard }, index) => {
      if (admissions[index] !== 'go') held.add(shard);
      if (admissions[index] === 'full') verdicts[index] = diskFull(free, lowWater);
      if (held.has(shard)) return;
      const share = shares.get(shard);
      if (share) share.indices.push(index);
      else shares.set(shard, { shard, number: 0, indices: [index], linkOf: [], links: [] });
    });
    return [...shares.values()];
  }

  /** Finds each shard, or makes it. One that cannot be found because its entry is damaged refuses its groups. */
  async #locate(shares: readonly Share[], verdicts: Verdict[]): Promise<void> {
    for (;;) {
      const homeless: Share[] = [];
      for (const share of shares) {
        if (share.indices.length > 0 && this.#find(share, verdicts) === 0) homeless.push(share);
      }
      if (homeless.length === 0) return;
      await this.#shards.allocate(homeless.map(({ shard }) => shard.name));
    }
  }

  #find(share: Share, verdicts: Verdict[]): number | undefined {
    const { shard, indices } = share;
    try {
      // A number that was right once is tried as it is: the transaction itself tells us if it is not any more.
      if (shard.at.number === 0) become(shard.at, this.#shards.locate(shard.name));
      share.number = shard.at.number;
      return share.number;
    } catch (why) {
      if (!(why instanceof TroupeError)) throw why;
      for (const index of indices.splice(0)) verdicts[index] = why;
      return undefined;
    }
  }

  #placeOf({ shard, number }: Share): ChainPlace {
    return { home: homeKey(shard.name), homeVersion: number, token: this.#shards.tokenKey };
  }

  #judge(share: Share, batch: readonly Group[], written: readonly boolean[], verdicts: Verdict[]): void {
    const { at } = share.shard;
    const still = at.number === share.number;
    share.indices.forEach((index, position) => {
      const group = batch[index] as Group;
      const done = written[share.linkOf[position] as number];
      verdicts[index] = done ? 'done' : fenced(group.owner.name, group.epoch, this.#seen(group));
      if (done && still && group.fence === 'shard') at.fence = Math.max(at.fence, group.epoch);
    });
  }

  /** The epoch that stood in the way, as far as it can be seen now. For the message only. */
  #seen({ owner, fence, writes, epoch }: Group): number | undefined {
    const { number } = owner.at;
    const keys = fence === 'shard' ? [fenceKey(number)] : writes.map(({ key }) => recordKey(number, key));
    return keys
      .map(key => this.#disk.db.getBinary(key) && lastVersion())
      .find(seen => seen !== undefined && seen > epoch);
  }
}

/** What was known of the shard under another number does not hold under this one. */
export function become(at: Place, number: number): void {
  if (at.number !== number) at.fence = -1;
  at.number = number;
}

/** The links for a shard's groups. Neighbours under one shard fence and epoch stand or fall together: one link. */
function plan(
  share: Share,
  batch: readonly Group[],
  encode: (fence: { key: Uint8Array; number: number }) => Uint8Array,
): void {
  const { number } = share;
  const fence = fenceKey(number);
  let raised = share.shard.at.fence;
  for (const index of share.indices) {
    const { epoch, fence: kind, writes } = batch[index] as Group;
    const physical = writes.map(({ key, record }) => ({ key: recordKey(number, key), value: record }));
    const last = share.links.at(-1);
    if (kind === 'shard' && last?.epoch === epoch && last.fences[0] === fence) {
      (last.writes as (typeof physical)[number][]).push(...physical);
    } else if (kind === 'shard') {
      const raise = epoch > raised ? [{ key: fence, value: encode({ key: fence, number: epoch }) }] : [];
      raised = Math.max(raised, epoch);
      share.links.push({ epoch, fences: [fence], absentFences: false, writes: [...raise, ...physical] });
    } else {
      const names = new Map(writes.map(({ name }, at) => [name, (physical[at] as (typeof physical)[number]).key]));
      share.links.push({ epoch, fences: [...names.values()], absentFences: true, writes: physical });
    }
    share.linkOf.push(share.links.length - 1);
  }
}
