// What merges leave out for good: only what has been dead for long, of stores with one replica, and never so that a dot comes twice.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dotted } from '../../src/actors/dvv.ts';
import { longDead, type PurgeRules } from '../../src/actors/purge.ts';
import { type PurgeHome, planPurge } from '../../src/actors/purge-plan.ts';
import type { SiblingSet } from '../../src/actors/sibling.ts';
import { encodeKey, ownKey } from '../../src/actors/store-key.ts';
import { decodeSet, encodeSet } from '../../src/actors/version-codec.ts';
import { VnodeKeeper } from '../../src/actors/vnode-keeper.ts';
import { packFlags, type RecordWire, type WriteReply } from '../../src/actors/vnode-messages.ts';
import { crc32 } from '../../src/storage/crc32.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { encodeRecord, shardSeed } from '../../src/storage/record.ts';
import { placeOf, type RunEntry } from '../../src/storage/runs/run-format.ts';
import { grave, setOf, sibling } from './records.ts';

const name = 'kv/carts/3';
const seed = shardSeed(crc32, name);
const key = encodeKey('cart:1');
const [now, graceMs] = [1_000_000, 10_000];
const rules: PurgeRules = { now, graceMs, shards: [{ number: 5, seed, floor: 900_000 }] };
const actor = (epoch: number): string => `n1:3:${epoch.toString(36)}`;

function entryOf(set: SiblingSet, { number = 5, k = key } = {}): RunEntry {
  const { version, value } = encodeSet(set);
  return { place: placeOf(number, k), lsn: 1, record: encodeRecord(crc32, seed, k, 1, version, value) };
}

const old = { stamp: { ms: now - graceMs, tick: 0 } };
const young = { stamp: { ms: now - graceMs + 1, tick: 0 } };
const a = actor(899_999);

describe('a record', () => {
  it.each<[string, RunEntry, boolean]>([
    ['deleted long ago', entryOf(setOf([a, 4, [[4, grave(old)]]])), true],
    ['deleted just now', entryOf(setOf([a, 4, [[4, grave(young)]]])), false],
    ['that lives', entryOf(setOf([a, 4, [[4, sibling('x', old)]]])), false],
    ['expired long ago', entryOf(setOf([a, 4, [[4, sibling('x', { ...old, expiresAt: now - graceMs })]]])), true],
    ['expired just now', entryOf(setOf([a, 4, [[4, sibling('x', { ...old, expiresAt: now - 1 })]]])), false],
    [
      'dead in all siblings',
      entryOf(
        setOf([
          a,
          4,
          [
            [4, grave(old)],
            [2, sibling('x', { expiresAt: 7 })],
          ],
        ]),
      ),
      true,
    ],
    [
      'dead but for one sibling',
      entryOf(setOf([a, 4, [[4, grave(old)]]], ['n1:3:5', 1, [[1, sibling('x', old)]]])),
      false,
    ],
    ['of an actor that may still write', entryOf(setOf([actor(900_000), 1, [[1, grave(old)]]])), false],
    ['with such an actor in its history', entryOf(setOf([a, 1, [[1, grave(old)]]], [actor(900_001), 7, []])), false],
    ['of an actor that is none of ours', entryOf(setOf(['somebody', 1, [[1, grave(old)]]])), false],
    ['of another shard', entryOf(setOf([a, 4, [[4, grave(old)]]]), { number: 6 }), false],
    ['under the key of the vnode itself', entryOf(setOf([a, 4, [[4, grave(old)]]]), { k: ownKey }), false],
    ['without siblings', entryOf(setOf([a, 4, []])), true],
  ])('%s', (_, entry, gone) => {
    expect(longDead(rules)(entry)).toBe(gone);
  });

  it('that is damaged anywhere stays, or what it held would be absent instead of an error', () => {
    const { record, ...entry } = entryOf(setOf([a, 4, [[4, grave(old)]]]));
    const gone = longDead(structuredClone(rules));
    for (let at = 0; at < (record as Uint8Array).length * 8; at++) {
      const damaged = (record as Uint8Array).slice();
      damaged[at >> 3] = (damaged[at >> 3] as number) ^ (1 << (at & 7));
      expect(gone({ ...entry, record: damaged })).toBe(false);
    }
    for (let length = 0; length < (record as Uint8Array).length; length++)
      expect(gone({ ...entry, record: (record as Uint8Array).slice(0, length) })).toBe(false);
    expect(gone({ ...entry, record: undefined })).toBe(false);
  });
});

describe('the plan of a purge', () => {
  const home: PurgeHome = {
    graceMs,
    now: () => now,
    stores: async () => [
      ['carts', { n: 1 }],
      ['many', { n: 3 }],
    ],
    floor: async partition => (partition === 9 ? Promise.reject(new Error('too busy')) : partition * 10),
  };
  const shards: [number, string][] = [
    [5, name],
    [6, 'kv/many/3'],
    [7, 'kv/unknown/3'],
    [8, 'kv/carts/9'],
    [9, '~kv/carts/4~9'],
    [10, 'a/3'],
  ];

  it('names the shards of stores with one replica whose vnodes have answered, and nothing else', async () => {
    const plan = await planPurge(home, shards);
    expect(plan).toMatchObject({
      name: 'longDead',
      argument: { now, graceMs, shards: [{ number: 5, seed, floor: 30 }] },
    });
    const module = await import(plan?.module as string);
    expect(module[plan?.name as string]).toBe(longDead);
  });

  it('is none when no shard may be purged', async () => {
    expect(await planPurge(home, shards.slice(1))).toBeUndefined();
    expect(await planPurge(home, [])).toBeUndefined();
  });
});

describe('purging again and again', () => {
  type Step =
    | { type: 'put'; key: number; context: 'none' | 'latest' | 'old' }
    | { type: 'delete'; key: number; context: 'none' | 'latest' | 'old' }
    | { type: 'restart' }
    | { type: 'floor' }
    | { type: 'merge' }
    | { type: 'wait'; ms: number };
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constantFrom('put' as const, 'delete' as const),
        key: fc.nat(2),
        context: fc.constantFrom('none' as const, 'latest' as const, 'old' as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('restart' as const) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constantFrom('floor' as const, 'merge' as const) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.nat(20) }) },
  );

  /** Says which dot named two writes; undefined: none did. `asked`: whether the vnode is asked before a merge. */
  async function dotMadeTwice(steps: readonly Step[], asked: boolean): Promise<string | undefined> {
    const disk = new MemoryStore();
    const shard = disk.shard(name);
    let [time, fence] = [1_000, 0];
    const activate = (): VnodeKeeper => {
      const epoch = ++fence;
      const place = { engine: disk, node: 'n1', partition: 3, fence: () => epoch, now: () => time, onFenced: () => {} };
      return new VnodeKeeper(place);
    };
    let keeper = activate();
    const flags = packFlags({ siblings: true, alone: true }, false);
    const dots = new Map<string, string>();
    const contexts = new Map<number, Uint8Array[]>();
    let chosen: { entries: Map<number, RunEntry>; floor: number } | undefined;
    let count = 0;
    let twice: string | undefined;
    const keyAt = (n: number): Uint8Array => encodeKey(`k${n}`);
    const entryAt = (n: number): RunEntry | undefined => {
      const record = shard.get(keyAt(n));
      if (record === undefined) return undefined;
      const { key: k, epoch, version, value } = record;
      return { place: placeOf(5, k), lsn: 1, record: encodeRecord(crc32, seed, k, epoch, version, value) };
    };
    const look = async (n: number): Promise<void> => {
      const wire = (await keeper.get('carts', keyAt(n))) as RecordWire | null;
      const set = wire === null ? new Map() : decodeSet({ version: wire[0], value: wire[1] });
      for (const { dot, value } of dotted(set as SiblingSet)) {
        const id = `k${n} ${dot.actor} ${dot.counter}`;
        const what = value.tombstone ? `grave ${value.stamp.ms}.${value.stamp.tick}` : String(value.value);
        if ((dots.get(id) ?? what) !== what) twice = id;
        dots.set(id, what);
      }
    };
    for (const each of steps) {
      if (each.type === 'wait') time += each.ms;
      else if (each.type === 'restart') keeper = activate();
      else if (each.type === 'floor') {
        // The runs are chosen first; what is written from here on is not in them.
        const entries = new Map(
          [0, 1, 2].flatMap(n => {
            const entry = entryAt(n);
            return entry === undefined ? [] : [[n, entry] as const];
          }),
        );
        chosen = { entries, floor: asked ? ((await keeper.floor('carts')) as number) : Number.MAX_SAFE_INTEGER };
      } else if (each.type === 'merge') {
        if (chosen === undefined) continue;
        const gone = longDead({ now: time, graceMs: 0, shards: [{ number: 5, seed, floor: chosen.floor }] });
        for (const [n, entry] of chosen.entries) {
          // A newer version is in a segment, and hides that its older one is gone.
          const isNewest = Buffer.compare(entry.record as Uint8Array, entryAt(n)?.record ?? new Uint8Array(0)) === 0;
          if (isNewest && gone(entry))
            await shard.commit({ epoch: fence, fence: 'shard', ops: [{ type: 'delete', key: keyAt(n) }] }, 'committed');
        }
        chosen = undefined;
      } else {
        const known = contexts.get(each.key) ?? [];
        const context = each.context === 'none' ? null : ((each.context === 'old' ? known[0] : known.at(-1)) ?? null);
        const value = encodeKey(`v${count++}`);
        const reply = (await (each.type === 'put'
          ? keeper.put('carts', keyAt(each.key), [value, context, flags, 0, null, 1_000])
          : keeper.delete('carts', keyAt(each.key), [context, flags, null]))) as WriteReply;
        expect(reply).not.toHaveProperty('refused');
        contexts.set(each.key, [...known, reply[0]]);
        await look(each.key);
      }
    }
    await disk.close();
    return twice;
  }

  it('never makes a dot twice, nor refuses a context it has given, whatever comes between', async () => {
    const steps = fc.array(step, { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(steps, async some => {
        expect(await dotMadeTwice(some, true)).toBeUndefined();
      }),
      { seed: 20_261_129, numRuns: 400 },
    );
  });

  it('would, if the vnode were not asked first', async () => {
    const steps: Step[] = [
      { type: 'put', key: 0, context: 'none' },
      { type: 'delete', key: 0, context: 'none' },
      { type: 'floor' },
      { type: 'merge' },
      { type: 'put', key: 0, context: 'none' },
    ];
    expect(await dotMadeTwice(steps, false)).toMatch(/^k0 n1:3:\w+ 1$/);
    expect(await dotMadeTwice(steps, true)).toBeUndefined();
  });
});

describe('a key that lives through many purges', () => {
  it('goes on under the actor it has, so that its clock does not grow', async () => {
    const disk = new MemoryStore();
    let time = 1_000;
    const keeper = new VnodeKeeper({
      engine: disk,
      node: 'n1',
      partition: 3,
      fence: () => 1,
      now: () => time++,
      onFenced: () => {},
    });
    const flags = packFlags({ siblings: true, alone: true }, false);
    const write = async (k: Uint8Array): Promise<SiblingSet> => {
      await keeper.put('carts', k, [encodeKey('v'), null, flags, 0, null, 1_000]);
      const [version, value] = (await keeper.get('carts', k)) as RecordWire;
      return decodeSet({ version, value }) as SiblingSet;
    };
    const [first] = [...(await write(key)).keys()];
    for (let n = 0; n < 20; n++) {
      const floor = (await keeper.floor('carts')) as number;
      expect([...(await write(key)).keys()]).toEqual([first]);
      expect([...(await write(encodeKey(`new${n}`))).keys()]).toEqual([actor(floor)]);
    }
    await disk.close();
  });
});
