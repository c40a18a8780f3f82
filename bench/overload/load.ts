// Load of two kinds. A closed loop asks again when it has its answer, and so finds out how much can be served at most. An open
// loop asks at its rate whatever comes back, as the world outside does: the only kind that can overload anything.
//
// Invariant: every ask that was made is counted once, by its outcome; a tally is complete when all have settled.

import { Histogram } from '../../src/runtime/histogram.ts';
import { anonymousBytes } from '../proc.ts';

export interface Tally {
  /** Asks made, and the seconds in which they were. */
  offered: number;
  seconds: number;
  /** How they ended: 'ok', or a code. */
  readonly outcomes: Map<string, number>;
  /** Microseconds until an answer, and until a refusal. */
  readonly answered: Histogram;
  readonly refused: Histogram;
  /** Memory of the process: at the start, and the most. */
  readonly rssAtStart: number;
  rssMax: number;
  /** Of the process, in microseconds, until the last ask settled: on a machine that others use too, the fairer measure. */
  cpuUs: number;
}

/** Makes ask number n. */
export type Ask = (n: number) => Promise<unknown>;

/** Asks made before the event loop has its turn; an open loop that has fallen behind catches up in such steps. */
const burstMax = 512;
const rssEveryMs = 100;

export async function closedLoop(ask: Ask, width: number, ms: number): Promise<Tally> {
  const load = new Load(ask);
  const end = performance.now() + ms;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      await load.one();
      // Refusals come at once: without a pause they would be all there is.
      if (load.lastRefused) await new Promise(resolve => setImmediate(resolve));
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return load.done();
}

export async function openLoop(ask: Ask, perSecond: number, ms: number): Promise<Tally> {
  const load = new Load(ask);
  const begin = performance.now();
  for (let now = begin; now < begin + ms; now = performance.now()) {
    const due = Math.floor(((now - begin) * perSecond) / 1_000) - load.tally.offered;
    for (let made = Math.min(due, burstMax); made > 0; made--) void load.one();
    if (due > burstMax) await new Promise(resolve => setImmediate(resolve));
    else await new Promise(resolve => setTimeout(resolve, 1));
  }
  return load.done();
}

export const per = (tally: Tally, outcome: string): number => (tally.outcomes.get(outcome) ?? 0) / tally.seconds;

function memory(): number {
  return process.platform === 'linux' ? anonymousBytes() : process.memoryUsage.rss();
}

class Load {
  readonly tally: Tally;
  lastRefused = false;
  private readonly ask: Ask;
  private readonly begin = performance.now();
  private readonly cpu = process.cpuUsage();
  private readonly sampler: NodeJS.Timeout;
  private open = 0;
  private settled: () => void = () => undefined;

  constructor(ask: Ask) {
    this.ask = ask;
    const rss = memory();
    this.tally = {
      offered: 0,
      seconds: 0,
      outcomes: new Map(),
      answered: new Histogram(),
      refused: new Histogram(),
      rssAtStart: rss,
      rssMax: rss,
      cpuUs: 0,
    };
    this.sampler = setInterval(() => {
      this.tally.rssMax = Math.max(this.tally.rssMax, memory());
    }, rssEveryMs);
  }

  one(): Promise<void> {
    const began = performance.now();
    this.open++;
    return this.ask(this.tally.offered++).then(
      () => this.ended('ok', began),
      error => this.ended((error as { code?: string }).code ?? 'no code', began),
    );
  }

  private ended(outcome: string, began: number): void {
    const { outcomes, answered, refused } = this.tally;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    this.lastRefused = outcome !== 'ok';
    (this.lastRefused ? refused : answered).record((performance.now() - began) * 1_000);
    if (--this.open === 0) this.settled();
  }

  /** No more will be asked: the rate is that of the time until now, and the rest is waited for. */
  async done(): Promise<Tally> {
    this.tally.seconds = (performance.now() - this.begin) / 1_000;
    if (this.open > 0)
      await new Promise<void>(resolve => {
        this.settled = resolve;
      });
    clearInterval(this.sampler);
    const { user, system } = process.cpuUsage(this.cpu);
    this.tally.cpuUs = user + system;
    return this.tally;
  }
}
