import { beforeEach, describe, expect, it } from 'vitest';
import { join } from '../../src/actors/dvv.ts';
import { viewOf } from '../../src/actors/sibling.ts';
import { encodeKey, ownKey, prefixRange } from '../../src/actors/store-key.ts';
import { decodeSet, encodeSet, isCorrupt } from '../../src/actors/version-codec.ts';
import { type KeeperPlace, VnodeKeeper } from '../../src/actors/vnode-keeper.ts';
import {
  type Answer,
  type DigestReply,
  type InspectReply,
  isRefusal,
  packFlags,
  type RecordWire,
  type Refusal,
  type WriteReply,
} from '../../src/actors/vnode-messages.ts';
import { scanPageRecordsMax, scanPageVisitsMax, siblingsMax } from '../../src/limits.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { read, setOf, sibling, text } from './records.ts';

const alone = { siblings: true, alone: true };
const shardName = 'kv/carts/3';
const k = encodeKey('cart:1');

let disk: MemoryStore;
let now: number;
let fence: number;
let fenced: number;
let keeper: VnodeKeeper;

/** An activation of the vnode: what it knows is on the disk. */
function activate(): VnodeKeeper {
  const epoch = ++fence;
  const place: KeeperPlace = {
    engine: disk,
    node: 'n1',
    partition: 3,
    fence: () => epoch,
    now: () => now,
    onFenced: () => fenced++,
  };
  return new VnodeKeeper(place);
}

beforeEach(() => {
  disk = new MemoryStore();
  now = 1_000_000;
  fence = 0;
  fenced = 0;
  keeper = activate();
});

type PutMore = {
  key?: Uint8Array;
  context?: Uint8Array | null;
  opId?: string;
  ttlMs?: number;
  ifNoneMatch?: boolean;
  rules?: { siblings: boolean; alone: boolean };
  flush?: boolean;
  at?: VnodeKeeper;
};

async function put(value: string, more: PutMore = {}): Promise<Answer<WriteReply>> {
  const { key = k, context = null, opId = null, ttlMs = 0, ifNoneMatch = false, rules = alone, flush = false } = more;
  const flags = packFlags(rules, flush, ifNoneMatch);
  return (more.at ?? keeper).put('carts', key, [text(value), context, flags, ttlMs, opId, 1_000]);
}

async function remove(context: Uint8Array | null = null, opId: string | null = null): Promise<Answer<WriteReply>> {
  return keeper.delete('carts', k, [context, packFlags(alone, false), opId]);
}

function decoded(record: RecordWire) {
  const set = decodeSet({ version: record[0], value: record[1] });
  if (isCorrupt(set)) throw new Error(set.corrupt);
  return set;
}

const liveIn = (record: RecordWire) => viewOf(decoded(record), now).live.map(one => read(one.value));

async function get(key = k, at = keeper): Promise<string[] | undefined> {
  const answer = good(await at.get('carts', key));
  return answer === null ? undefined : liveIn(answer);
}

async function clock(key = k): Promise<Record<string, number>> {
  const [version, value] = good(await keeper.inspect('carts', key)) as InspectReply;
  return Object.fromEntries(join(decoded([version, value])).upTo);
}

function good<T>(answer: Answer<T>): T {
  if (isRefusal(answer)) throw new Error(`${answer.refused[0]}: ${answer.refused[1]}`);
  return answer;
}

const codeOf = (answer: unknown): string => (answer as Refusal).refused[0];
const contextIn = (answer: Answer<WriteReply>): Uint8Array => good(answer)[0];

/** True once the promise has settled, given every chance to. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  const mark = () => {
    done = true;
  };
  promise.then(mark, mark);
  for (let i = 0; i < 50; i++) await Promise.resolve();
  return done;
}

describe('a vnode', () => {
  it('writes, reads, overwrites by context and deletes', async () => {
    expect(await get()).toBeUndefined();
    const first = await put('v1');
    expect(await get()).toEqual(['v1']);
    const second = await put('v2', { context: contextIn(first) });
    expect(await get()).toEqual(['v2']);
    await remove(contextIn(second));
    expect(await get()).toEqual([]);
    expect(Object.values(await clock())).toEqual([3]);
  });

  it('answers a read at once when nothing of the key is under way', async () => {
    await put('v1');
    expect(keeper.get('carts', k)).not.toBeInstanceOf(Promise);
    expect(keeper.get('carts', encodeKey('other'))).toBeNull();
  });

  it('computes overlapping writes of a key one from the other', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => put(`v${i}`)));
    expect(answers.map(answer => good(answer)[1])).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(await get()).toHaveLength(10);
    expect(Object.values(await clock())).toEqual([10]);
  });

  it('keeps stores and partitions apart', async () => {
    await put('v1');
    expect(keeper.get('orders', k)).toBeNull();
    expect(disk.shards()).toEqual([shardName]);
  });

  it('hands back the record to replicate where other replicas wait for it, and not where there are none', async () => {
    expect(good(await put('v1'))[2]).toBeNull();
    const replicated = good(await put('v2', { rules: { siblings: true, alone: false } }));
    expect(liveIn(replicated[2] as RecordWire)).toEqual(['v2', 'v1']);
  });

  it('refuses with data, so that a refusal does not look like a failure of the vnode', async () => {
    expect(await put('x'.repeat(1_001))).toMatchObject({
      refused: ['TOO_LARGE', expect.any(String), { bytesMax: 1_000 }, 'failed', false],
    });
    expect(codeOf(await put('v', { context: text('garbage') }))).toBe('BAD_CONTEXT');
    await put('v');
    expect(codeOf(await put('v', { ifNoneMatch: true }))).toBe('EXISTS');
    expect(keeper.stats.refused).toBe(3);
    expect(await get()).toEqual(['v']);
  });

  it('refuses the context of another key of the same vnode', async () => {
    const other = await put('v', { key: encodeKey('cart:2') });
    expect(await put('w', { context: contextIn(other) })).toMatchObject({
      refused: ['BAD_CONTEXT', expect.stringContaining('another key'), {}, 'failed', false],
    });
  });

  it('counts keys with a record, without its own', async () => {
    expect(keeper.count('carts')).toBe(0);
    await put('v');
    await put('v', { key: encodeKey('cart:2') });
    expect(keeper.count('carts')).toBe(2);
  });

  it('warns of many siblings and refuses too many (A-87)', async () => {
    for (let i = 0; i < siblingsMax; i++) good(await put(`v${i}`));
    expect(keeper.stats.manySiblings).toBe(siblingsMax - 24);
    expect(codeOf(await put('one more'))).toBe('TOO_MANY_SIBLINGS');
    expect(await get()).toHaveLength(siblingsMax);
  });
});

describe('nothing is shown or answered before it is durable', () => {
  it('a put waits for its commit, and a get of that key with it; another key is read meanwhile', async () => {
    await put('old', { key: encodeKey('other') });
    disk.hold();
    const writing = put('v1');
    const reading = get();
    expect(await settled(writing)).toBe(false);
    expect(await settled(reading)).toBe(false);
    expect(await get(encodeKey('other'))).toEqual(['old']);
    disk.release();
    expect(good(await writing)[1]).toBe(1);
    expect(await reading).toEqual(['v1']);
  });

  it('a scan and a digest wait as well, and a delete of what is only being written', async () => {
    disk.hold();
    const writing = put('v1');
    const { from } = prefixRange();
    const page = Promise.resolve(keeper.scan('carts', [from, null, 10]));
    const digest = Promise.resolve(keeper.digest('carts', null));
    const again = remove();
    for (const waiting of [page, digest, again]) expect(await settled(waiting)).toBe(false);
    disk.release();
    await writing;
    expect(good(await page)[0]).toHaveLength(1);
    expect(good(await digest)[0]).toBe(1);
    good(await again);
    expect(await get()).toEqual([]);
  });

  it('a get that waited for a write which was refused shows what was there before', async () => {
    await put('v1');
    disk.hold();
    const writing = put('v2', { opId: 'r-1' });
    const reading = get();
    const retry = put('v2', { opId: 'r-1' });
    disk.diskFull = true;
    disk.release();
    expect(codeOf(await writing)).toBe('DISK_FULL');
    expect(await reading).toEqual(['v1']);
    expect(codeOf(await retry)).toBe('DISK_FULL');
    disk.diskFull = false;
    // The operation was forgotten with its write: the retry does it, once.
    good(await put('v2', { opId: 'r-1' }));
    good(await put('v2', { opId: 'r-1' }));
    expect(await get()).toEqual(['v2', 'v1']);
  });

  it('a write that rests on a refused one is refused with it, and its dot is given again to nobody who saw it', async () => {
    await put('v1');
    disk.hold();
    const both = [put('v2'), put('v3')];
    disk.diskFull = true;
    disk.release();
    expect((await Promise.all(both)).map(codeOf)).toEqual(['DISK_FULL', 'DISK_FULL']);
    disk.diskFull = false;
    await put('v4');
    expect(await get()).toEqual(['v4', 'v1']);
    expect(Object.values(await clock())).toEqual([2]);
  });

  it('a write that is refused at once does not hide one that is still on its way', async () => {
    let epoch = 1;
    const at = new VnodeKeeper({
      engine: disk,
      node: 'n1',
      partition: 3,
      fence: () => epoch,
      now: () => now,
      onFenced: () => undefined,
    });
    disk.hold();
    const first = put('v1', { at });
    epoch = -1;
    const second = put('v2', { at });
    expect(await settled(second)).toBe(true);
    expect(isRefusal(await second)).toBe(true);
    const reading = get(k, at);
    expect(await settled(reading)).toBe(false);
    disk.release();
    good(await first);
    expect(await reading).toEqual(['v1']);
  });

  it('a refused operation is forgotten: its dot goes to another write, and its retry is done', async () => {
    disk.diskFull = true;
    expect(codeOf(await put('v1', { opId: 'r-1' }))).toBe('DISK_FULL');
    disk.diskFull = false;
    good(await put('other'));
    good(await put('v1', { opId: 'r-1' }));
    expect(await get()).toEqual(['v1', 'other']);
  });

  it('a repeated request waits for the first one', async () => {
    disk.hold();
    const first = put('v', { opId: 'r-1' });
    const retry = put('v', { opId: 'r-1' });
    expect(await settled(retry)).toBe(false);
    disk.release();
    expect(contextIn(await retry)).toEqual(contextIn(await first));
    expect(await get()).toEqual(['v']);
    expect(keeper.stats.repeated).toBe(1);
  });

  it('an acknowledged write survives a crash; one that was not is gone with its dot', async () => {
    await put('v1');
    disk.hold();
    const lost = put('v2');
    disk.crash();
    expect(isRefusal(await lost)).toBe(true);
    keeper = activate();
    expect(await get()).toEqual(['v1']);
  });

  it("a put with ack 'flushed' survives the loss of power, and 'committed' may not", async () => {
    await put('kept', { flush: true });
    await disk.sync('flushed');
    disk.powerLoss();
    keeper = activate();
    expect(await get()).toEqual(['kept']);
  });
});

describe('who makes dots', () => {
  it('changes with every activation, so that no dot is made twice (B3)', async () => {
    const first = await put('v1');
    keeper = activate();
    await put('v2', { context: contextIn(first) });
    expect(await get()).toEqual(['v2']);
    const actors = Object.keys(await clock());
    expect(actors).toHaveLength(2);
    expect(actors[0]).toMatch(/^n1:3:[0-9a-z]+$/);
  });

  it('is above the stored one although the wall clock went back', async () => {
    await put('v1');
    now = 5;
    keeper = activate();
    await put('v2');
    expect(Object.keys(await clock())).toEqual([
      `n1:3:${(1_000_000).toString(36)}`,
      `n1:3:${(1_000_001).toString(36)}`,
    ]);
  });

  it('is new after the disk was wiped, and the old context neither hurts nor helps (A-95)', async () => {
    const old = await put('v1');
    disk = new MemoryStore();
    now += 1;
    keeper = activate();
    await put('v2', { context: contextIn(old) });
    expect(await get()).toEqual(['v2']);
    expect(await put('v3', { context: contextIn(old) })).not.toHaveProperty('refused');
    expect(await get()).toEqual(['v3', 'v2']);
  });

  it('cannot be told from a damaged record, so nothing is written then, while reads go on', async () => {
    await put('v1');
    expect(disk.flipBit(shardName, ownKey, 120)).toBe(true);
    keeper = activate();
    expect(codeOf(await put('v2'))).toBe('CORRUPT');
    expect(codeOf(await remove())).toBe('CORRUPT');
    expect(await get()).toEqual(['v1']);
    expect(keeper.count('carts')).toBe(1);
  });
});

describe('a damaged record', () => {
  it('is an error for each request about its key, and never absent (riak_kv #679)', async () => {
    await put('v1');
    const record = good(await keeper.get('carts', k)) as RecordWire;
    expect(disk.flipBit(shardName, k, 200)).toBe(true);
    for (const answer of [
      await keeper.get('carts', k),
      await keeper.inspect('carts', k),
      await put('v2'),
      await put('v2', { ifNoneMatch: true }),
      await remove(),
      await keeper.merge('carts', k, [...record, packFlags(alone, false)]),
      await keeper.scan('carts', [prefixRange().from, null, 10]),
      await keeper.digest('carts', null),
    ]) {
      expect(codeOf(answer)).toBe('CORRUPT');
    }
    expect(await get(encodeKey('other'))).toBeUndefined();
  });

  it('whose bytes pass the checksum and make no sense is one too', async () => {
    const group = {
      epoch: 1,
      fence: 'shard' as const,
      ops: [{ type: 'put' as const, key: k, version: text('??'), value: text('!') }],
    };
    await disk.shard(shardName).commit(group, 'committed');
    expect(codeOf(await put('v'))).toBe('CORRUPT');
    expect(codeOf(await keeper.scan('carts', [prefixRange().from, null, 10]))).toBe('CORRUPT');
  });
});

describe('the fence', () => {
  it('refuses the writes of an activation that was succeeded, and ends it', async () => {
    const old = keeper;
    await put('v1');
    keeper = activate();
    await put('v2');
    expect(codeOf(await put('late', { at: old }))).toBe('FENCED');
    expect(fenced).toBe(1);
    expect(await get()).toEqual(['v2', 'v1']);
  });
});

describe('a full disk', () => {
  it('refuses puts; reads and deletes go on, and what was deleted stays deleted', async () => {
    const first = await put('v1');
    await put('other', { key: encodeKey('cart:2') });
    disk.diskFull = true;
    expect(codeOf(await put('v2', { context: contextIn(first) }))).toBe('DISK_FULL');
    expect(await get()).toEqual(['v1']);
    good(await remove(contextIn(first)));
    expect(await get()).toBeUndefined();
    expect(await get(encodeKey('cart:2'))).toEqual(['other']);
    disk.diskFull = false;
    good(await put('v3'));
    expect(await get()).toEqual(['v3']);
    // The dots of the deleted record are forgotten, so they must not be made again: another actor writes.
    expect(Object.keys(await clock())).toEqual([`n1:3:${(1_000_001).toString(36)}`]);
  });

  it('does not erase a sibling that the deleting client has not seen', async () => {
    const first = await put('v1');
    await put('v2');
    disk.diskFull = true;
    expect(codeOf(await remove(contextIn(first)))).toBe('DISK_FULL');
    expect(await get()).toEqual(['v2', 'v1']);
  });

  it('refuses the delete where other replicas could bring the value back', async () => {
    const rules = { siblings: true, alone: false };
    const first = await put('v1', { rules });
    disk.diskFull = true;
    const answer = await keeper.delete('carts', k, [contextIn(first), packFlags(rules, false), null]);
    expect(codeOf(answer)).toBe('DISK_FULL');
  });
});

describe('merge', () => {
  const flags = packFlags({ siblings: true, alone: false }, false);
  const there = encodeSet(setOf(['n2:3:x', 1, [[1, sibling('theirs')]]]));

  it('stores what it did not know, and nothing when it knew (A-82)', async () => {
    await put('ours');
    expect(await keeper.merge('carts', k, [there.version, there.value, flags])).toBe(true);
    expect(await get()).toEqual(['ours', 'theirs']);
    const { transactions } = disk.stats();
    expect(await keeper.merge('carts', k, [there.version, there.value, flags])).toBe(false);
    expect(disk.stats().transactions).toBe(transactions);
  });

  it('refuses a damaged record and keeps its own', async () => {
    await put('ours');
    expect(codeOf(await keeper.merge('carts', k, [there.version, text('?'), flags]))).toBe('BAD_MESSAGE');
    expect(await get()).toEqual(['ours']);
  });
});

describe('pages', () => {
  const all = prefixRange();

  async function scan(records = 10, range = all): Promise<string[]> {
    const found: string[] = [];
    let from: Uint8Array | null = range.from;
    while (from !== null) {
      const [items, next]: readonly [readonly (readonly [Uint8Array, Uint8Array, Uint8Array])[], Uint8Array | null] =
        good(await keeper.scan('carts', [from, range.to ?? null, records]));
      expect(items.length).toBeLessThanOrEqual(records);
      found.push(...items.map(([key]) => read(key.subarray(1))));
      from = next;
    }
    return found;
  }

  it('walk over live keys in order and leave out the deleted, the expired and the vnode itself', async () => {
    for (const name of ['d', 'a', 'c', 'b', 'e']) await put(name, { key: encodeKey(name) });
    await keeper.delete('carts', encodeKey('c'), [null, packFlags(alone, false), null]);
    await put('gone', { key: encodeKey('f'), ttlMs: 10 });
    now += 10;
    for (const records of [1, 2, 3, 100]) expect(await scan(records)).toEqual(['a', 'b', 'd', 'e']);
    expect(await scan(2, prefixRange('b'))).toEqual(['b']);
  });

  it('are bounded in keys, in bytes and in records looked at', async () => {
    const many = Array.from({ length: scanPageVisitsMax + 10 }, (_, i) => encodeKey(`k${String(i).padStart(5, '0')}`));
    await Promise.all(many.map(key => put('x', { key })));
    expect(good(await keeper.scan('carts', [all.from, null, 1e9]))[0]).toHaveLength(scanPageRecordsMax);
    await Promise.all(many.map(key => keeper.delete('carts', key, [null, packFlags(alone, false), null])));
    const [items, next] = good(await keeper.scan('carts', [all.from, null, 10]));
    expect(items).toEqual([]);
    expect(next).not.toBeNull();
    expect(await scan(10)).toEqual([]);

    const big = 'x'.repeat(100 << 10);
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
      await keeper.put('carts', encodeKey(name), [text(big), null, packFlags(alone, false), 0, null, 1 << 20]);
    }
    expect(good(await keeper.scan('carts', [all.from, null, 10]))[0]).toHaveLength(3);
    expect(await scan(10)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });

  it('give the same digest for the same records, whatever the order they were written in, and another for others', async () => {
    const digest = async () => {
      let keys = 0;
      const sums = [0, 0, 0, 0];
      for (let from: Uint8Array | null = null, first = true; first || from !== null; first = false) {
        const part: DigestReply = good(await keeper.digest('carts', from));
        keys += part[0];
        for (let i = 0; i < 4; i++) sums[i] = ((sums[i] as number) + (part[1][i] as number)) >>> 0;
        from = part[2];
      }
      return { keys, sums };
    };
    const fill = async (names: string[]) => {
      disk = new MemoryStore();
      fence = 0;
      keeper = activate();
      for (const name of names) await put(name, { key: encodeKey(name) });
      return digest();
    };
    const names = Array.from({ length: scanPageVisitsMax + 5 }, (_, i) => `k${i}`);
    const forwards = await fill(names);
    expect(forwards.keys).toBe(names.length);
    expect(await fill(names.toReversed())).toEqual(forwards);
    await put('changed', { key: encodeKey('k7') });
    const changed = await digest();
    expect(changed.keys).toBe(names.length);
    expect(changed.sums).not.toEqual(forwards.sums);
    expect((await fill(names.slice(1))).sums).not.toEqual(forwards.sums);
  });
});
