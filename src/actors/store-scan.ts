// A scan of a store: pages of all partitions, fetched as they are needed, merged into key order.
//
// Intuition: the merge (scan-merge.ts) says which partitions must be heard before the next key is known. The first key of a
// page being taken is the sign that the next page will be wanted soon, so it is asked for then: the partitions are used up
// at about the same pace, and without that the scan would stop for each of them in turn.
//
// Invariants: at most two pages a partition are held (the bound is in limits.ts); an abandoned scan leaves nothing running
// but the pages already asked for. A partition is read at its first replica; a scan repairs nothing.

import { TroupeError } from '../errors.ts';
import { scanPageRecordsMax, scanTurnKeys } from '../limits.ts';
import { show } from '../runtime/show.ts';
import type { Clock } from '../runtime/world.ts';
import type { Replica, Routing } from './coordinator.ts';
import { type Keyed, ScanMerge } from './scan-merge.ts';
import type { SiblingSet } from './sibling.ts';
import { type Key, prefixRange } from './store-key.ts';
import { badOption } from './store-options.ts';
import { decodeSet, isCorrupt } from './version-codec.ts';
import { accepted, type PageItem, type PageReply } from './vnode-messages.ts';

export interface ScanOptions {
  /** Only keys that begin with it, and are of its kind. */
  readonly prefix?: Key | undefined;
  /** The most keys; default all. */
  readonly limit?: number | undefined;
}

export interface ScannedKey {
  readonly key: Uint8Array;
  readonly set: SiblingSet;
}

interface Item extends Keyed {
  readonly wire: PageItem;
}

interface Source {
  /** Where its next page begins; null: it has none. */
  next: Uint8Array | null;
  coming: Promise<PageReply> | undefined;
  /** Nothing of its newest page was taken yet. */
  fresh: boolean;
}

export async function* scanStore(
  store: string,
  routing: Routing,
  { prefix, limit = Number.POSITIVE_INFINITY }: ScanOptions,
  clock: Pick<Clock, 'soon'>,
): AsyncGenerator<ScannedKey, void, undefined> {
  if (limit !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw badOption('limit', `limit must be a whole number, 0 or more; got ${show(limit)}`);
  }
  const { from, to } = prefixRange(prefix);
  const records = Math.min(limit, scanPageRecordsMax);
  const merge = new ScanMerge<Item>(routing.partitions);
  const sources = Array.from(
    { length: routing.partitions },
    (): Source => ({ next: from, coming: undefined, fresh: false }),
  );

  const ask = (partition: number): Promise<PageReply> => {
    const source = sources[partition] as Source;
    source.coming ??= page(routing, store, partition, [source.next as Uint8Array, to ?? null, records]);
    return source.coming;
  };
  const fill = async (partition: number): Promise<void> => {
    const [items, next] = await ask(partition);
    sources[partition] = { next, coming: undefined, fresh: true };
    merge.feed(
      partition,
      items.map(wire => ({ key: wire[0], wire })),
      next === null,
    );
  };

  for (let given = 0; given < limit; ) {
    const step = merge.next();
    if (step.type === 'end') return;
    if (step.type === 'starved') {
      await Promise.all(merge.wants().map(fill));
      continue;
    }
    const source = sources[step.from] as Source;
    if (source.fresh && source.next !== null) {
      // Whoever stops here never looks at it: its failure must not count as unhandled.
      ask(step.from).catch(() => undefined);
    }
    source.fresh = false;
    yield scanned(step.item.wire);
    // What is at hand is handed out without waiting for anything, and whoever else has work on this thread would wait for all of it.
    if (++given % scanTurnKeys === 0) await new Promise<void>(done => clock.soon(done));
  }
}

async function page(
  routing: Routing,
  store: string,
  partition: number,
  request: readonly [Uint8Array, Uint8Array | null, number],
): Promise<PageReply> {
  const [replica] = routing.replicas(partition, 1) as readonly (Replica | undefined)[];
  if (replica === undefined)
    throw new TroupeError('QUORUM', `no replica of partition ${partition}`, { outcome: 'failed' });
  return accepted(await replica.door(undefined).scan(store, request));
}

function scanned([key, version, value]: PageItem): ScannedKey {
  const set = decodeSet({ version, value });
  if (isCorrupt(set)) throw new TroupeError('CORRUPT', `a record is damaged: ${set.corrupt}`);
  return { key, set };
}
