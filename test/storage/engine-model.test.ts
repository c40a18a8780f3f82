// All engines against the most obvious implementation of the contract: Maps, one group after the other. Random groups with
// random fences, handed in several at a time, read while pending, with crashes, restarts, drops and copies in between.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Engine, WriteGroup } from '../../src/storage/engine.ts';
import { LmdbStore } from '../../src/storage/lmdb-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { TroupeStore } from '../../src/storage/troupe-store.ts';
import { bytes, chunksOf, contents, del, outcome, put, text } from './conformance.ts';

const shardNames = ['a', 'a/b'] as const;
const keys = ['', 'k', 'k\u0000', 'l', '__proto__'];

interface Op {
  readonly key: string;
  readonly value: string | undefined;
}

type Step =
  | {
      readonly do: 'commit';
      readonly shard: string;
      readonly epoch: number;
      readonly fence: WriteGroup['fence'];
      readonly ops: Op[];
    }
  | { readonly do: 'drop'; readonly shard: string }
  | { readonly do: 'look' | 'settle' | 'crash' | 'copy' };

const shards = fc.constantFrom(...shardNames);
const op = fc.record({
  key: fc.constantFrom(...keys),
  value: fc.oneof({ weight: 3, arbitrary: fc.nat(99).map(String) }, fc.constant(undefined)),
});
const commit: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('commit' as const),
  shard: shards,
  epoch: fc.nat(3),
  fence: fc.constantFrom('shard' as const, 'record' as const),
  ops: fc.array(op, { maxLength: 4 }),
});
const steps = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: commit },
    { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('look' as const, 'settle' as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('crash' as const, 'copy' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), shard: shards }) },
  ),
  { minLength: 10, maxLength: 40 },
);

/** The obvious implementation. */
class Model {
  readonly committed = new Map<string, { fence: number; records: Map<string, { epoch: number; value: string }> }>();
  /** What was handed in since the last time everything had settled. */
  wave: Extract<Step, { do: 'commit' | 'drop' }>[] = [];

  place(shard: string) {
    const known = this.committed.get(shard) ?? { fence: 0, records: new Map() };
    this.committed.set(shard, known);
    return known;
  }

  /** What a reader sees now: every pending write over what is committed. */
  seen(shard: string): Map<string, string> {
    const seen = new Map([...this.place(shard).records].map(([key, { value }]) => [key, value]));
    for (const step of this.wave) {
      if (step.do !== 'commit' || step.shard !== shard) continue;
      for (const { key, value } of step.ops) {
        if (value === undefined) seen.delete(key);
        else seen.set(key, value);
      }
    }
    return seen;
  }

  pending(shard: string): Set<string> {
    return new Set(
      this.wave.flatMap(step => (step.do === 'commit' && step.shard === shard ? step.ops.map(({ key }) => key) : [])),
    );
  }

  /** Applies the wave; how each of its steps ends. */
  settle(): string[] {
    const refused = new Set<string>();
    const ends = this.wave.map(step => {
      if (step.do === 'drop') {
        this.committed.delete(step.shard);
        return 'ok';
      }
      const place = this.place(step.shard);
      const epochs = step.ops.map(({ key }) => place.records.get(key)?.epoch ?? 0);
      const highest = step.fence === 'shard' ? place.fence : Math.max(0, ...epochs);
      if (refused.has(step.shard) || step.epoch < highest) {
        refused.add(step.shard);
        return 'FENCED';
      }
      if (step.fence === 'shard') place.fence = step.epoch;
      for (const { key, value } of step.ops) {
        if (value === undefined) place.records.delete(key);
        else place.records.set(key, { epoch: step.epoch, value });
      }
      return 'ok';
    });
    this.wave = [];
    return ends;
  }
}

/** Runs the steps on an engine; `crash` gives back the engine to go on with, and says whether the wave was lost. */
async function run(first: Engine, plan: readonly Step[], crash: () => Promise<{ engine: Engine; lost: boolean }>) {
  let engine = first;
  const model = new Model();
  let ends: Promise<string>[] = [];

  const look = (): void => {
    for (const name of shardNames) {
      const shard = engine.shard(name);
      const seen = model.seen(name);
      const sorted = [...seen].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value}`);
      expect(contents(shard)).toEqual(sorted);
      expect(contents(shard, { from: bytes('k'), to: bytes('l') })).toEqual(
        sorted.filter(line => line.startsWith('k')),
      );
      expect(shard.count()).toBe(seen.size);
      for (const key of keys) {
        expect([key, text(shard.get(bytes(key)))]).toEqual([key, seen.get(key)]);
        expect([key, shard.pending(bytes(key))]).toEqual([key, model.pending(name).has(key)]);
      }
    }
  };
  const settle = async (): Promise<void> => {
    const expected = model.settle();
    expect(await Promise.all(ends)).toEqual(expected);
    ends = [];
    look();
    for (const name of shardNames) {
      const epochs = [...engine.shard(name).scan()].map(({ epoch }) => epoch);
      const place = model.place(name);
      const keysInOrder = [...place.records.keys()].sort();
      expect(epochs).toEqual(keysInOrder.map(key => place.records.get(key)?.epoch));
    }
  };

  for (const step of plan) {
    if (step.do === 'commit') {
      const ops = step.ops.map(({ key, value }) => (value === undefined ? del(key) : put(key, value)));
      const { shard, epoch, fence } = step;
      ends.push(outcome(engine.shard(shard).commit({ epoch, fence, ops }, 'committed')));
      model.wave.push(step);
    } else if (step.do === 'drop') {
      ends.push(outcome(engine.drop(step.shard)));
      model.wave.push(step);
    } else if (step.do === 'crash') {
      const after = await crash();
      engine = after.engine;
      if (!after.lost) await settle();
      model.wave = [];
      ends = [];
    } else if (step.do === 'copy') {
      await settle();
      const [from, to] = shardNames;
      await engine.import(to, await chunksOf(engine, from));
      model.committed.set(to, structuredClone(model.place(from)));
    } else if (step.do === 'settle') await settle();
    else look();
  }
  await settle();
  expect(engine.stats()).toMatchObject({ pendingWrites: 0, pendingBytes: 0, corrupt: 0 });
}

describe('an engine does what the model does', () => {
  it('in memory, with crashes that lose what is pending', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async plan => {
        const engine = new MemoryStore();
        await run(engine, plan, async () => {
          engine.crash();
          return { engine, lost: true };
        });
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it('over LMDB, with restarts that lose nothing', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async plan => {
        const dir = mkdtempSync(join(tmpdir(), 'troupe-model-'));
        let engine = new LmdbStore({ dir });
        try {
          await run(engine, plan, async () => {
            await engine.close();
            engine = new LmdbStore({ dir });
            return { engine, lost: false };
          });
        } finally {
          await engine.close();
          rmSync(dir, { recursive: true });
        }
      }),
      { seed: 2, numRuns: 30 },
    );
  });

  it.each([
    ['of a disk', {}],
    ['with segments that hold next to nothing', { segmentBytes: 64 << 10 }],
  ])(
    'over a log and its runs, %s, flushed, merged and restarted at any time',
    async (_, options) => {
      await fc.assert(
        fc.asyncProperty(steps, async plan => {
          const dir = mkdtempSync(join(tmpdir(), 'troupe-model-'));
          const open = async () => {
            const made = new TroupeStore({ dir, ...options });
            await made.ready();
            return made;
          };
          let engine = await open();
          let turns = 0;
          try {
            await run(engine, plan, async () => {
              // Twice into a run, once a new life.
              if (++turns % 3 !== 0) await engine.settle();
              else {
                await engine.close();
                engine = await open();
              }
              return { engine, lost: false };
            });
          } finally {
            await engine.close();
            rmSync(dir, { recursive: true });
          }
        }),
        { seed: 3, numRuns: 60 },
      );
    },
    60_000,
  );
});
