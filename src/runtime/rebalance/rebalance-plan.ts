// Which slot should change threads, if any. Pure.
//
//     thread:        1            2                            1            2
//     slots:    ▆▆ 0.5  ▃ 0.3     ▁ 0.1      slot of 0.3 ─▶    ▆▆ 0.5       ▃ 0.3  ▁ 0.1          gap 0.7 ─▶ 0.1
//
// From the busiest thread to the idlest the slot that wins most, once it wins enough. What a move wins is how far the higher of the
// two comes down: of a slot with load w, across a gap g, that is min(w, g - w). So a slot that is the whole load wins nothing by
// going where it would be the whole load again, and what has been moved wins nothing by going back.
//
// Invariant: each move makes the sum of the squares of the loads smaller, by at least 2·gainMin²: on a constant load there is an end.

export interface PlanLimits {
  /** Part of a core: a thread below it is not helped. */
  readonly busyMin: number;
  /** Part of a core a move must win. */
  readonly gainMin: number;
}

export interface Loads {
  /** Part of a core that each slot keeps busy. */
  readonly slots: readonly number[];
  /** By thread: what no slot can take along. */
  readonly rest: readonly number[];
}

export interface Step {
  readonly slot: number;
  readonly from: number;
  readonly to: number;
  /** How far the busier of the two comes down. */
  readonly gain: number;
}

export interface PlanInput extends PlanLimits {
  readonly loads: Loads;
  /** By slot: its thread. */
  readonly table: ArrayLike<number>;
  /** Threads that slots may be moved between. */
  readonly threads: readonly number[];
  /** Slots that stay for now. */
  readonly resting: (slot: number) => boolean;
}

/** The load of each of those threads. */
export function threadLoads({
  loads,
  table,
  threads,
}: Pick<PlanInput, 'loads' | 'table' | 'threads'>): Map<number, number> {
  const sums = new Map(threads.map(thread => [thread, loads.rest[thread] ?? 0]));
  for (const [slot, load] of loads.slots.entries()) {
    const thread = table[slot] as number;
    const sum = sums.get(thread);
    if (sum !== undefined) sums.set(thread, sum + load);
  }
  return sums;
}

/** The next move, or why there is none. */
export function nextStep(input: PlanInput): Step | string {
  const { loads, table, threads, busyMin, gainMin, resting } = input;
  const sums = threadLoads(input);
  const loadOf = (thread: number): number => sums.get(thread) as number;
  const [first, ...others] = threads;
  if (first === undefined || others.length === 0) return 'there is only one thread';
  let [from, to] = [first, first];
  for (const thread of others) {
    if (loadOf(thread) > loadOf(from)) from = thread;
    if (loadOf(thread) < loadOf(to)) to = thread;
  }
  if (loadOf(from) < busyMin) return 'no thread is busy';
  const gap = loadOf(from) - loadOf(to);
  if (gap < 2 * gainMin) return 'the threads are equally busy';
  let best: Step | undefined;
  let [isResting, alone] = [false, false];
  for (const [slot, load] of loads.slots.entries()) {
    if (table[slot] !== from) continue;
    const gain = Math.min(load, gap - load);
    if (gain < gainMin) alone ||= load >= gainMin;
    else if (resting(slot)) isResting = true;
    else if (gain > (best?.gain ?? 0)) best = { slot, from, to, gain };
  }
  if (best !== undefined) return best;
  if (isResting) return 'the slots that could be moved are resting';
  return alone ? 'one slot is the load, and would be it elsewhere' : 'no slot would win enough';
}
