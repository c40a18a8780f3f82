// The rebalancer's plan, against thousands of random loads: it gets somewhere, it stops there, and it never makes anything worse.

import { describe, expect, it } from 'vitest';
import { nextStep, type PlanInput, type Step, threadLoads } from '../../../src/runtime/rebalance/rebalance-plan.ts';

/** Park and Miller. */
function chanceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

const limits = { busyMin: 0.5, gainMin: 0.05, resting: () => false };
const at = (slots: number[], table: number[], threads: number[], rest: number[] = []): PlanInput => ({
  ...limits,
  loads: { slots, rest },
  table,
  threads,
});

function randomInput(seed: number): PlanInput & { table: number[] } {
  const chance = chanceOf(seed * 7_919 + 1);
  const threads = Array.from({ length: 2 + Math.floor(chance() * 6) }, (_, i) => i + 1);
  const slotCount = 1 << Math.floor(chance() * 8);
  const skew = 1 + Math.floor(chance() * 8);
  const slots = Array.from({ length: slotCount }, () => chance() ** skew * (chance() < 0.2 ? 2 : 0.3));
  const table = slots.map(() => threads[Math.floor(chance() ** 2 * threads.length)] as number);
  const rest = [0, ...threads.map(() => (chance() < 0.3 ? chance() : 0))];
  return { ...limits, loads: { slots, rest }, table, threads };
}

/** Moves until there is nothing to do. */
function settle(input: PlanInput & { table: number[] }, each: (step: Step) => void = () => undefined): number {
  for (let moves = 0; ; moves++) {
    const step = nextStep(input);
    if (typeof step === 'string') return moves;
    each(step);
    input.table[step.slot] = step.to;
    if (moves > 10_000) throw new Error('it does not end');
  }
}
const squares = (input: PlanInput): number =>
  [...threadLoads(input).values()].reduce((sum, load) => sum + load * load, 0);
const highest = (input: PlanInput): number => Math.max(...threadLoads(input).values());
const seeds = Array.from({ length: 2_000 }, (_, seed) => seed);

describe('the plan, on constant loads', () => {
  it('ends, within as many moves as its potential allows, and moves no slot between the same two threads again', () => {
    for (const seed of seeds) {
      const input = randomInput(seed);
      const bound = squares(input) / (2 * limits.gainMin ** 2);
      const seen = new Set<string>();
      const moves = settle(input, ({ slot, from, to }) => {
        const state = `${slot} ${from} ${to} ${input.table.join()}`;
        expect(seen.has(state)).toBe(false);
        seen.add(state);
      });
      expect(moves).toBeLessThanOrEqual(bound);
      expect(nextStep(input)).toBeTypeOf('string');
    }
  });

  it('never makes the busiest thread busier, and wins by its own estimate what it says', () => {
    for (const seed of seeds) {
      const input = randomInput(seed);
      for (let step = nextStep(input); typeof step !== 'string'; step = nextStep(input)) {
        const before = threadLoads(input);
        const [top, square] = [highest(input), squares(input)];
        const pair = Math.max(before.get(step.from) as number, before.get(step.to) as number);
        input.table[step.slot] = step.to;
        const after = threadLoads(input);
        const now = Math.max(after.get(step.from) as number, after.get(step.to) as number);
        expect(pair - now).toBeCloseTo(step.gain, 9);
        expect(step.gain).toBeGreaterThanOrEqual(limits.gainMin);
        expect(highest(input)).toBeLessThanOrEqual(top + 1e-9);
        expect(squares(input)).toBeLessThan(square - 2 * limits.gainMin ** 2 + 1e-9);
      }
    }
  });

  it('comes close to equal when all slots are small', () => {
    for (const seed of seeds.slice(0, 200)) {
      const input = randomInput(seed);
      const small = { ...input, loads: { slots: input.loads.slots.map(() => 0.06), rest: [] } };
      settle(small);
      const sums = [...threadLoads(small).values()];
      const gap = Math.max(...sums) - Math.min(...sums);
      expect(gap < 0.06 + 2 * limits.gainMin || highest(small) < limits.busyMin).toBe(true);
    }
  });

  it('takes the step that wins most, of all there are from the busiest to the idlest', () => {
    for (const seed of seeds) {
      const input = randomInput(seed);
      const step = nextStep(input);
      const sums = threadLoads(input);
      const [from] = [...sums].reduce((a, b) => (b[1] > a[1] ? b : a));
      const [to] = [...sums].reduce((a, b) => (b[1] < a[1] ? b : a));
      const gains = input.loads.slots.map((load, slot) => {
        if (input.table[slot] !== from) return 0;
        const pair = (a: number, b: number): number =>
          Math.max((sums.get(from) as number) - a, (sums.get(to) as number) + b);
        return pair(0, 0) - pair(load, load);
      });
      const best = Math.max(0, ...gains);
      if (typeof step === 'string')
        expect(best < limits.gainMin + 1e-9 || (sums.get(from) as number) < limits.busyMin).toBe(true);
      else {
        expect([step.from, step.to]).toEqual([from, to]);
        expect(step.gain).toBeCloseTo(best, 9);
      }
    }
  });
});

describe('the plan', () => {
  it.each<[string, PlanInput, string | Partial<Step>]>([
    ['moves nothing when threads are equally busy', at([0.8, 0.8], [1, 2], [1, 2]), 'the threads are equally busy'],
    ['moves nothing while nobody is busy', at([0.2, 0.2], [1, 1], [1, 2]), 'no thread is busy'],
    [
      'leaves a slot alone that is the whole load',
      at([0.9], [1], [1, 2]),
      'one slot is the load, and would be it elsewhere',
    ],
    ['moves what lies beside a slot that is the load', at([0.7, 0.2], [1, 1], [1, 2]), { slot: 1, from: 1, to: 2 }],
    ['takes the half of it', at([0.1, 0.5, 0.4], [1, 1, 1], [1, 2]), { slot: 1 }],
    ['has nowhere to go from the only thread', at([0.9, 0.1], [1, 1], [1]), 'there is only one thread'],
    ['cannot help where pinned actors are the load', at([0.01], [1], [1, 2], [0, 0.95]), 'no slot would win enough'],
    ['moves slots away from pinned actors', at([0.4], [1], [1, 2], [0, 0.5]), { slot: 0, to: 2 }],
    ['does not count a thread that is not there', at([0.9, 0.1, 0.1], [1, 1, 3], [1, 2]), { slot: 1, to: 2 }],
  ])('%s', (_claim, input, expected) => {
    const step = nextStep(input);
    if (typeof expected === 'string') expect(step).toBe(expected);
    else expect(step).toMatchObject(expected);
  });

  it('leaves alone what rests, and says so', () => {
    const input = at([0.5, 0.4], [1, 1], [1, 2]);
    expect(nextStep({ ...input, resting: slot => slot === 1 })).toMatchObject({ slot: 0 });
    expect(nextStep({ ...input, resting: () => true })).toBe('the slots that could be moved are resting');
  });
});
