import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hash32 } from '../../src/runtime/partition.ts';
import { type Departing, type Resident, ResidentSet, trackedBit } from '../../src/runtime/passivation.ts';
import { presentOf } from '../../src/runtime/passivation-parts.ts';

class One implements Resident {
  usedTick = 0;
  standing = 0;
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

const hashOf = (one: One) => hash32(one.name);
const isIn = (one: One) => (one.standing & trackedBit) !== 0;

/** With everybody it has ever heard of as its walk, those that are gone among them. */
class Residents extends ResidentSet<One> {
  readonly all: Set<One>;
  constructor(cap: number, idleTicksOf: (one: One) => number) {
    const all = new Set<One>();
    super({ cap, hashOf, idleTicksOf, walk: () => presentOf(all) });
    this.all = all;
  }
  override added(one: One): void {
    this.all.add(one);
    super.added(one);
  }
  override kept(one: One): void {
    this.all.add(one);
    super.kept(one);
  }
}
const newSet = (cap: number, idleTicks = Number.POSITIVE_INFINITY) => new Residents(cap, () => idleTicks);

function sweep(set: ResidentSet<One>, tick: number, budget = 1e9): string[] {
  const left: string[] = [];
  set.sweep(tick, budget, (one, why) => left.push(`${why} ${one.name}`));
  return left;
}

function wake(set: ResidentSet<One>, ...names: string[]): One[] {
  return names.map(name => {
    const one = new One(name);
    set.added(one);
    return one;
  });
}

describe('idleness', () => {
  test('far from the cap, who was not used for idleTicks leaves, and nobody else', () => {
    const set = newSet(1_000, 10);
    const [a, b] = wake(set, 'a', 'b', 'c') as [One, One, One];
    expect(sweep(set, 6)).toEqual([]);
    set.touch(a);
    expect(sweep(set, 9)).toEqual([]);
    expect(sweep(set, 10).sort()).toEqual(['idle b', 'idle c']);
    expect(isIn(b)).toBe(false);
    expect(sweep(set, 15)).toEqual([]);
    expect(sweep(set, 16)).toEqual(['idle a']);
    expect(set.size).toBe(0);
  });

  test('each kind has its own idle time', () => {
    const idleTicksOf = (one: One) => (one.name === 'never' ? Number.POSITIVE_INFINITY : one.name.length);
    const set = new Residents(100, idleTicksOf);
    wake(set, 'never', 'aa', 'aaaa');
    expect(sweep(set, 2)).toEqual(['idle aa']);
    expect(sweep(set, 1_000_000)).toEqual(['idle aaaa']);
  });

  test('a sweep looks at no more than its budget, and a few sweeps still reach everybody', () => {
    let looks = 0;
    const idleTicksOf = () => {
      looks++;
      return 5;
    };
    const set = new Residents(100_000, idleTicksOf);
    wake(set, ...Array.from({ length: 10_000 }, (_, i) => `${i}`));
    let gone = 0;
    for (let i = 0; i < 10; i++) {
      looks = 0;
      gone += sweep(set, 5, 1_000).length;
      expect(looks).toBe(1_000);
    }
    expect(gone).toBe(10_000);
  });

  test('kept: who cannot sleep counts as just used', () => {
    const set = newSet(100, 10);
    const [busy] = wake(set, 'busy') as [One];
    set.sweep(10, 100, one => set.kept(one));
    expect(isIn(busy)).toBe(true);
    expect(sweep(set, 19)).toEqual([]);
    expect(sweep(set, 20)).toEqual(['idle busy']);
    set.kept(busy);
    set.kept(busy);
    expect(set.size).toBe(1);
  });

  test('removing twice, or after it was handed out, does nothing; adding twice is refused', () => {
    const set = newSet(100, 1);
    const [a, b] = wake(set, 'a', 'b') as [One, One];
    set.removed(a);
    set.removed(a);
    expect(set.size).toBe(1);
    expect(() => set.added(b)).toThrow('added twice');
    sweep(set, 1);
    set.removed(b);
    expect(set.size).toBe(0);
    set.added(b);
    expect(set.size).toBe(1);
  });
});

describe('the cap', () => {
  test('brings the number down to it, and says who was evicted', () => {
    const set = newSet(10);
    wake(set, ...Array.from({ length: 25 }, (_, i) => `${i}`));
    expect(set.excess).toBe(15);
    expect(sweep(set, 1, 4)).toHaveLength(4);
    expect(set.evict(100, one => set.kept(one))).toBe(0); // all are busy: it gives up when the budget is spent
    const left = sweep(set, 1);
    expect(left).toHaveLength(11);
    expect(left.every(each => each.startsWith('evicted '))).toBe(true);
    expect([set.size, set.excess]).toEqual([10, 0]);
  });

  test('touching in the tick of waking proves nothing; in a later one it does', () => {
    const set = newSet(10);
    for (let i = 0; i < 10; i++) set.touch(wake(set, `early ${i}`)[0] as One);
    sweep(set, 1);
    const [burst, regular] = wake(set, 'burst', 'regular') as [One, One];
    set.touch(burst);
    set.touch(regular);
    sweep(set, 2);
    set.touch(regular);
    wake(set, 'x', 'y');
    sweep(set, 3);
    expect([isIn(burst), isIn(regular)]).toEqual([false, true]);
  });

  test('who comes back soon after it was evicted is not judged as a newcomer again', () => {
    const set = newSet(100);
    for (let i = 0; i < 100; i++) wake(set, `old ${i}`);
    sweep(set, 1);
    const [first] = wake(set, 'back') as [One];
    for (let i = 0; i < 30; i++) {
      wake(set, `once ${i}`);
      sweep(set, 2);
    }
    expect(isIn(first)).toBe(false);
    const [again] = wake(set, 'back') as [One];
    for (let i = 0; i < 30; i++) {
      wake(set, `twice ${i}`);
      sweep(set, 3);
    }
    expect(isIn(again)).toBe(true);
  });

  test('among the settled, one the hand found used in several rounds outlasts one it found used once', () => {
    const set = newSet(10);
    const settle = (name: string) => {
      const one = new One(name);
      set.kept(one);
      one.usedTick = ~set.tick; // not used since
      return one;
    };
    const hot = settle('hot'); // the hand comes to it first
    const warm = settle('warm');
    for (let i = 0; i < 8; i++) settle(`early ${i}`);
    const gone: string[] = [];
    for (let i = 0; i < 150; i++) {
      if (i < 50) set.touch(hot);
      if (i < 10) set.touch(warm);
      settle(`more ${i}`);
      set.evict(1_000, one => gone.push(one.name));
      if (i < 50) expect(gone).not.toContain('hot');
    }
    expect(gone).toContain('warm');
    expect(gone).toContain('hot');
    // Last used at 49. One round of the clock is ten departures: with a heat of 2 it would go after 86, with 1 after 77.
    expect(gone.indexOf('hot')).toBeGreaterThan(90);
  });

  test('an actor that woke and was never used again goes before one that was used', () => {
    const set = newSet(4);
    const used = new One('used');
    set.kept(used);
    const [unused] = wake(set, 'unused') as [One];
    for (let i = 0; i < 3; i++) set.kept(new One(`${i}`));
    set.evict(2, () => {});
    expect([isIn(used), isIn(unused)]).toEqual([true, false]);
  });

  test('far below the cap nothing is kept, and what pressure needed goes when it is over', () => {
    const set = newSet(1_000);
    const all = wake(set, ...Array.from({ length: 749 }, (_, i) => `${i}`));
    expect(set.describe()).toEqual({ size: 749, cap: 1_000, settled: 749, recent: 0, ghosts: false });
    all.push(...wake(set, ...Array.from({ length: 51 }, (_, i) => `more ${i}`)));
    expect(set.describe()).toMatchObject({ settled: 749, recent: 51, ghosts: true });
    for (const one of all.slice(0, 301)) set.removed(one);
    sweep(set, 1, 20); // within its budget
    expect(set.describe()).toMatchObject({ size: 499, recent: 31, ghosts: true });
    sweep(set, 1);
    expect(set.describe()).toEqual({ size: 499, cap: 1_000, settled: 499, recent: 0, ghosts: false });
  });

  test.each([0, -1, 1.5, 2 ** 25, Number.NaN])('%d is no cap', cap => {
    expect(() => newSet(cap)).toThrow(RangeError);
  });

  test.each([-1, 0.5, 2 ** 31, Number.NaN])('%d is no tick', tick => {
    expect(() => sweep(newSet(1), tick)).toThrow(RangeError);
  });
});

describe('whatever happens', () => {
  const name = fc.integer({ min: 0, max: 60 });
  const op = fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant('wake' as const), name }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('use' as const), name }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('end' as const), name }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('tick' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant('sweep' as const), budget: fc.integer({ min: 0, max: 40 }) }),
    },
  );

  test('nobody is lost, handed out twice, or called idle too early; in the end everyone leaves', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.array(op, { maxLength: 200 }), (cap, ops) => {
        const idleTicks = 4;
        const set = newSet(cap, idleTicks);
        const awake = new Map<number, { one: One; usedAt: number }>();
        let tick = 0;
        const leave = (one: One, why: Departing) => {
          const known = awake.get(Number(one.name));
          expect(known?.one).toBe(one);
          expect(isIn(one)).toBe(false);
          if (why === 'idle') expect(tick - (known?.usedAt ?? tick)).toBeGreaterThanOrEqual(idleTicks);
          else expect(awake.size).toBeGreaterThan(cap);
          if (Number(one.name) % 7 === 0 && why === 'evicted') {
            set.kept(one);
            awake.set(Number(one.name), { one, usedAt: tick });
          } else awake.delete(Number(one.name));
        };
        for (const step of ops) {
          if (step.type === 'wake' && !awake.has(step.name)) {
            const one = new One(`${step.name}`);
            set.added(one);
            awake.set(step.name, { one, usedAt: tick });
          } else if (step.type === 'use') {
            const known = awake.get(step.name);
            if (known) {
              set.touch(known.one);
              known.usedAt = tick;
            }
          } else if (step.type === 'end') {
            const known = awake.get(step.name);
            if (known) set.removed(known.one);
            awake.delete(step.name);
          } else if (step.type === 'tick') set.sweep(++tick, 0, leave);
          else if (step.type === 'sweep') set.sweep(tick, step.budget, leave);
          expect(set.size).toBe(awake.size);
          expect([...awake.values()].every(({ one }) => isIn(one))).toBe(true);
        }
        tick += idleTicks + 1;
        for (let i = 0; i < 5; i++) set.sweep(tick + i * 10, 1_000, one => awake.delete(Number(one.name)));
        expect([set.size, awake.size]).toEqual([0, 0]);
      }),
      { seed: 31, numRuns: 300 },
    );
  });
});

describe('hit rates on the same trace, least recently used against this policy', () => {
  const cap = 1_000;
  const keys = 20_000;

  /** mulberry32: the same trace in every run. */
  function chance(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  function zipf(random: () => number, exponent: number): () => number {
    const sums = new Float64Array(keys);
    let sum = 0;
    for (let i = 0; i < keys; i++) sums[i] = sum += 1 / (i + 1) ** exponent;
    return () => {
      const wanted = random() * sum;
      let [low, high] = [0, keys - 1];
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((sums[middle] as number) < wanted) low = middle + 1;
        else high = middle;
      }
      return low;
    };
  }

  type Trace = (random: () => number, key: () => number, i: number) => number;
  const traces: Record<string, Trace> = {
    'zipf alone': (_, key) => key(),
    'zipf with scans of actors that are wanted once': (_, key, i) => (i % 14_000 < 10_000 ? key() : 1e6 + i),
    'zipf with a third of one-hit wonders': (random, key, i) => (random() < 0.33 ? 1e6 + i : key()),
    'zipf whose favourites change every 25,000 requests': (_, key, i) => Math.floor(i / 25_000) * keys + key(),
  };

  function requests(trace: Trace): number[] {
    const random = chance(20_261_120);
    const key = zipf(random, 0.9);
    return Array.from({ length: 100_000 }, (_, i) => trace(random, key, i));
  }

  function hitsOfLru(wanted: readonly number[]): number {
    const awake = new Set<number>();
    let hits = 0;
    for (const key of wanted) {
      if (awake.delete(key)) hits++;
      awake.add(key);
      if (awake.size > cap) awake.delete(awake.values().next().value as number);
    }
    return hits;
  }

  function hitsOfSet(wanted: readonly number[]): number {
    const set = newSet(cap);
    const awake = new Map<string, One>();
    let hits = 0;
    wanted.forEach((key, i) => {
      const name = `cart/${key}`;
      let one = awake.get(name);
      if (one === undefined) {
        one = new One(name);
        awake.set(name, one);
        set.added(one);
      } else hits++;
      set.touch(one); // as the runtime does: after the first message too
      set.evict(5_000, each => awake.delete(each.name));
      if (i % 20 === 0) set.sweep(i / 20, 0, () => {});
    });
    expect(awake.size).toBe(cap);
    return hits;
  }

  // Of 100,000 requests, LRU against this: 47.4 and 55.5 %, 33.0 and 39.7 %, 26.9 and 35.6 %, 47.0 and 50.3 %.
  test.each([
    ['zipf alone', 1.1],
    ['zipf with scans of actors that are wanted once', 1.15],
    ['zipf with a third of one-hit wonders', 1.3],
    ['zipf whose favourites change every 25,000 requests', 1.05],
  ] as const)('%s: at least %d times the hits', (name, factor) => {
    const wanted = requests(traces[name] as Trace);
    expect(hitsOfSet(wanted)).toBeGreaterThan(factor * hitsOfLru(wanted));
  });
});
