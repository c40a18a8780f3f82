// The simulator itself: it repeats, it keeps what a crash keeps, its clocks do what they say, and it can fail.

import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { realWorld } from '../../src/runtime/real-world.ts';
import type { World } from '../../src/runtime/world.ts';
import { counters } from '../../src/testing/sim/counters.ts';
import { drawsOf, hashOf } from '../../src/testing/sim/draws.ts';
import { EventHeap } from '../../src/testing/sim/event-heap.ts';
import { explore } from '../../src/testing/sim/explore.ts';
import { type Fault, Faults } from '../../src/testing/sim/faults.ts';
import { AckedOracle, ActivationOracle, AgreementOracle, FifoOracle } from '../../src/testing/sim/oracles.ts';
import type { SimWorld } from '../../src/testing/sim/process.ts';
import { runSeed, type Scenario, type SimPlan } from '../../src/testing/sim/runner.ts';
import { fewest, shrink } from '../../src/testing/sim/shrink.ts';
import { Simulation } from '../../src/testing/sim/simulation.ts';

const small = { seed: 1, traceLength: 50, eventsMax: 10_000 };

describe('chance', () => {
  it('depends on the seed and on what it is for, and on nothing drawn before', () => {
    const draw = drawsOf(7);
    const first = draw('net', 'a>b', 3);
    draw('anything');
    expect(draw('net', 'a>b', 3)).toBe(first);
    expect(new Set([first, draw('net', 'a>b', 4), draw('net', 'a>c', 3), drawsOf(8)('net', 'a>b', 3)]).size).toBe(4);
  });

  it('is spread evenly', () => {
    const counts = new Array<number>(16).fill(0);
    for (let index = 0; index < 16_000; index++) {
      const bucket = hashOf(3, ['x', index]) >>> 28;
      counts[bucket] = (counts[bucket] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(200);
  });
});

it('the heap gives what a sorted list would', () => {
  const heap = new EventHeap<{ at: number; tie: number; order: number }>();
  const all = Array.from({ length: 500 }, (_, order) => ({
    at: hashOf(1, [order]) % 20,
    tie: hashOf(2, [order]) % 3,
    order,
  }));
  for (const event of all) heap.push(event);
  const sorted = all.toSorted((a, b) => a.at - b.at || a.tie - b.tie || a.order - b.order);
  expect(all.map(() => heap.pop())).toEqual(sorted);
  expect(heap.pop()).toBeUndefined();
});

describe('a process', () => {
  const begin = (program: (world: SimWorld) => void) => {
    const sim = new Simulation(small);
    const process = sim.addProcess('n1', world => {
      program(world);
      return {};
    });
    process.start();
    return { sim, process };
  };

  it('stops with its timers late and its clock gone on; suspended, with a clock that stood', async () => {
    const fired: [string, number, number][] = [];
    for (const suspended of [false, true]) {
      const { sim, process } = begin(({ clock }) => {
        clock.timer(100, () => fired.push([String(suspended), sim.now, clock.mono()]));
      });
      await sim.runTo(50);
      process.pause(suspended);
      await sim.runTo(550);
      process.resume();
      await sim.runTo(2_000);
    }
    expect(fired).toEqual([
      ['false', 550, 550],
      ['true', 600, 100],
    ]);
  });

  it('never runs an event of an earlier life', async () => {
    const seen: number[] = [];
    const { sim, process } = begin(({ clock, life }) => {
      clock.timer(10, () => seen.push(life));
    });
    await sim.runTo(5);
    process.crash('test');
    process.start();
    await sim.runTo(100);
    expect(seen).toEqual([2]);
  });

  it('keeps its loop turns in order', async () => {
    const seen: number[] = [];
    const { sim } = begin(({ clock }) => {
      for (let turn = 0; turn < 20; turn++) clock.soon(() => seen.push(turn));
    });
    await sim.runTo(10);
    expect(seen).toEqual(Array.from({ length: 20 }, (_, turn) => turn));
  });

  it.each([
    [1, ['a', 'b']],
    [0.5, ['a']],
    [0, []],
  ])('keeps whole groups of what was not flushed: part %d', async (kept, expected) => {
    const done: string[] = [];
    let found: string[] = [];
    const { sim, process } = begin(world => {
      const shard = world.storage.open({ kind: 'memory' }).shard('s');
      found = [...shard.scan()].map(({ value }) => String.fromCharCode(...value));
      if (world.life > 1) return;
      for (const letter of ['a', 'b']) {
        const bytes = Uint8Array.of(letter.charCodeAt(0));
        const op = { type: 'put', key: bytes, version: new Uint8Array(0), value: bytes } as const;
        void shard.commit({ epoch: 1, fence: 'record', ops: [op] }, 'committed').then(() => done.push(letter));
      }
    });
    await sim.runTo(1_000, () => done.length === 2);
    process.crash('test', { kept });
    process.start();
    await sim.runTo(sim.now + 100);
    expect(found).toEqual(expected);
  });
});

describe('a store that fails', () => {
  const commitOne = ({ storage }: SimWorld): Promise<void> => {
    const op = { type: 'put', key: Uint8Array.of(1), version: new Uint8Array(0), value: Uint8Array.of(7) } as const;
    return storage
      .open({ kind: 'memory' })
      .shard('s')
      .commit({ epoch: 1, fence: 'record', ops: [op] }, 'committed');
  };

  it.each([
    [false, 0],
    [true, 1],
  ])('ends its process, which is started again and finds what was written (late: %s)', async (late, count) => {
    const sim = new Simulation(small);
    const told: string[] = [];
    let found = -1;
    const process = sim.addProcess('n1', world => {
      if (world.life > 1) found = [...world.storage.open({ kind: 'memory' }).shard('s').scan()].length;
      else void commitOne(world).catch(error => told.push(error.code));
      return {};
    });
    process.start();
    sim.plan(undefined, 0.01, 'break', () => process.disk.break(new Error('EIO'), late));
    await sim.runTo(1_000);
    expect([told, found, process.lives, sim.violations]).toEqual([['UNKNOWN_OUTCOME'], count, 2, []]);
  });
});

describe('the counters scenario', () => {
  it('finds nothing in 60 seeds, each the same twice', { timeout: 60_000 }, async () => {
    const found = await explore(counters, { from: 1, seeds: 60, twiceEvery: 6 });
    expect(found.failed.flatMap(({ seed, violations }) => violations.map(each => `${seed}: ${each}`))).toEqual([]);
    expect(found.unrepeatable).toEqual([]);
    expect(found.seeds).toBe(60);
  });

  it('goes another way with another seed', async () => {
    expect((await runSeed(counters, 1)).hash).not.toBe((await runSeed(counters, 2)).hash);
  });
});

/** Loses what was acknowledged when fault 3 and operation 5 come together: something to shrink. */
const forgetful: Scenario = {
  name: 'forgetful',
  plan: (): SimPlan => ({
    processes: ['n1', 'n2'],
    operations: Array.from({ length: 30 }, (_, id) => ({
      id,
      atMs: 10 * id,
      on: 'n1',
      name: 'add',
      key: 'k',
      value: 0,
    })),
    faults: Array.from({ length: 8 }, (_, id) => ({
      id,
      kind: 'stop',
      on: 'n1',
      other: 'n2',
      when: { atMs: 30 * id },
      forMs: 64,
      draw: 0,
    })),
    safetyMs: 1_000,
    livenessMs: 1_000,
  }),
  begin: (_, plan) => {
    const isBad = plan.faults.some(({ id }) => id === 3) && plan.operations.some(({ id }) => id === 5);
    return {
      program: () => () => ({}),
      perform: async () => undefined,
      begun: () => undefined,
      told: () => undefined,
      rest: async () => undefined,
      verdict: async () => (isBad ? ['5 is lost'] : []),
    };
  },
};

describe('a fault for good', () => {
  const strike = async (...faults: Pick<Fault, 'kind' | 'when' | 'forMs' | 'forGood'>[]) => {
    const sim = new Simulation(small);
    const processes = ['n1', 'n2', 'n3'].map(name => sim.addProcess(name, () => ({})));
    for (const each of processes) each.start();
    const all = new Faults(
      sim,
      faults.map((fault, id) => ({ ...fault, id, on: 'n1', other: 'n2', draw: 0 })),
    );
    await sim.runTo(1_000);
    all.heal();
    const state = () => processes[0]?.state;
    const reaches = () => sim.network.faultsOf('n1', 'n3') !== undefined;
    return { all, state, reaches };
  };

  it.each([
    ['crash', 'down'],
    ['power', 'down'],
    ['stop', 'paused'],
    ['split', 'up'],
  ] as const)('%s outlasts the heal and the end of other faults', async (kind, is) => {
    const { all, state, reaches } = await strike(
      { kind: 'stop', when: { atMs: 100 }, forMs: 400 },
      { kind: 'cut', when: { atMs: 100 }, forMs: 400 },
      { kind, when: { atMs: 50 }, forMs: 10, forGood: true },
    );
    expect([all.away, state(), reaches()]).toEqual([['n1'], is, kind !== 'split']);
    all.bringBack();
    expect([all.away, state(), reaches()]).toEqual([[], 'up', true]);
  });

  it('does not strike whoever is down', async () => {
    const { all, state } = await strike(
      { kind: 'crash', when: { atMs: 50 }, forMs: 400 },
      { kind: 'stop', when: { atMs: 100 }, forMs: 0, forGood: true },
    );
    expect([all.away, state()]).toEqual([[], 'up']);
  });
});

describe('a fault', () => {
  const begin = (fault: Partial<Fault>) => {
    const sim = new Simulation(small);
    const [, n2] = ['n1', 'n2', 'n3'].map(name => sim.addProcess(name, () => ({})));
    for (const each of sim.processes.values()) each.start();
    new Faults(sim, [
      { id: 0, kind: 'alone', on: 'n1', other: '*', when: { atMs: 10 }, forMs: 500, draw: 0, ...fault },
    ]);
    const reaches = (from: string, to: string) => sim.network.faultsOf(from, to) !== undefined;
    return { sim, n2: n2 as NonNullable<typeof n2>, reaches };
  };

  it("'alone' cuts one off from all others, both ways, and nobody else", async () => {
    const { sim, reaches } = begin({});
    await sim.runTo(100);
    expect([reaches('n1', 'n2'), reaches('n3', 'n1'), reaches('n2', 'n3')]).toEqual([false, false, true]);
    await sim.runTo(600);
    expect([reaches('n1', 'n2'), reaches('n3', 'n1')]).toEqual([true, true]);
  });

  it('ends when anybody reaches the point it lasts until', async () => {
    const { sim, n2, reaches } = begin({ until: 'vote' });
    sim.mark(n2, 'vote');
    await sim.runTo(100);
    expect(reaches('n1', 'n2')).toBe(false);
    sim.mark(n2, 'vote');
    await sim.runTo(101);
    expect(reaches('n1', 'n2')).toBe(true);
  });

  it('counts how often its point is reached from a moment on', async () => {
    const { sim, n2, reaches } = begin({ on: 'n2', when: { point: 'vote', nth: 2, fromMs: 50 } });
    const [before, after] = [40, 60];
    for (const at of [before, after, after + 10]) {
      await sim.runTo(at);
      expect(reaches('n2', 'n1')).toBe(true);
      sim.mark(n2, 'vote');
    }
    await sim.runTo(100);
    expect(reaches('n2', 'n1')).toBe(false);
  });
});

describe('shrinking', () => {
  it('keeps what is needed and nothing else', async () => {
    const failed = await runSeed(forgetful, 1);
    expect(failed.violations).toHaveLength(1);
    const { plan } = await shrink(forgetful, failed);
    expect(plan.faults.map(({ id, forMs }) => [id, forMs])).toEqual([[3, 0]]);
    expect(plan.operations.map(({ id }) => id)).toEqual([5]);
    expect(plan.processes).toEqual(['n1']);
  });

  it('finds two that are far apart', async () => {
    const all = Array.from({ length: 100 }, (_, index) => index);
    expect(await fewest(all, async kept => kept.includes(3) && kept.includes(97))).toEqual([3, 97]);
  });
});

it('a run that never rests is given up, and says so', async () => {
  const restless: Scenario = {
    ...forgetful,
    begin: (sim, plan) => ({
      ...forgetful.begin(sim, plan),
      program: () => world => {
        const again = (): void => world.clock.soon(again);
        again();
        return {};
      },
    }),
  };
  const { violations } = await runSeed(restless, 1, { eventsMax: 5_000 });
  expect(violations[0]).toContain('never rests');
});

describe('the guard before the real world', () => {
  const asking = (ask: () => unknown): Scenario => ({
    ...forgetful,
    begin: (sim, plan) => ({
      ...forgetful.begin(sim, plan),
      verdict: async () => [],
      program: () => () => {
        ask();
        return {};
      },
    }),
  });

  it.each<[string, (world: World) => unknown]>([
    ['Date.now', ({ clock }) => clock.now()],
    ['performance.now', ({ clock }) => clock.mono()],
    ['setImmediate', ({ clock }) => clock.soon(() => undefined)],
    ['setTimeout', ({ clock }) => clock.timer(5, () => undefined)],
  ])('sees %s asked by our code, and where', async (door, ask) => {
    const world = realWorld({ threads: 0 });
    const { violations } = await runSeed(
      asking(() => ask(world)),
      1,
    );
    expect(violations[0]).toMatch(new RegExp(`${door} was asked behind the simulator's back by runtime/real-world.*:`));
    expect(ask(world)).not.toBeInstanceOf(Error);
  });

  it('lets others have their clocks', async () => {
    const { violations } = await runSeed(
      asking(() => [Date.now(), setTimeout(() => undefined, 0), randomUUID()]),
      1,
    );
    expect(violations).toEqual([]);
  });
});

describe('an oracle', () => {
  it('misses what was acknowledged, and sees what was doubled, invented or told failed', () => {
    const oracle = new AckedOracle();
    for (const [id, told] of Object.entries({ a: 'ok', b: 'ok', c: 'failed', d: 'unknown', e: 'unknown' } as const)) {
      oracle.begin('s', id);
      oracle.end('s', id, told);
    }
    expect(oracle.check('s', ['a', 'b', 'd'])).toEqual([]);
    expect(oracle.check('s', ['a', 'a', 'c', 'x'])).toEqual([
      's: a is there 2 times',
      's: b was acknowledged and is lost',
      's: c was told failed and is there',
      's: x was never written',
    ]);
    oracle.excuse(() => true);
    expect(oracle.check('s', [])).toEqual([]);
  });

  it('sees order, epochs and views go wrong', () => {
    const fifo = new FifoOracle();
    expect([1, 2, 4, 4, 3].map(sequence => fifo.delivered('a', 'r', sequence))).toEqual([
      undefined,
      undefined,
      undefined,
      'a -> r: 4 came twice',
      'a -> r: 3 came after 4',
    ]);
    const activations = new ActivationOracle();
    expect(activations.runs('k', 1, 'n1')).toBeUndefined();
    expect(activations.runs('k', 1, 'n2')).toContain('runs in n2 and ran in n1');
    expect(activations.accepted('k', 2)).toBeUndefined();
    expect(activations.accepted('k', 1)).toContain('epoch 1 was accepted after one of 2');
    const ring = new AgreementOracle();
    expect([ring.saw('a', 1, 'x'), ring.saw('b', 2, 'y')]).toEqual([undefined, undefined]);
    expect(ring.disagreement(['a', 'b'])).toContain('a holds version 1, b 2');
    expect(ring.saw('b', 1, 'x')).toContain('goes back');
    expect(ring.saw('b', 1, 'z')).toContain('two views');
  });
});
