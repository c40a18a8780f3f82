// Three processes between which actors and partitions move under load, while one that takes part is killed now and then: how many moves
// there were, how long they paused what moved, and what became of every line and every value.
//
//     writers on each ─▶ books, diaries, a store        a move, or new weights ─▶ SIGKILL of its source or target in the middle? ─▶ start again
//
// Invariant: the report is made after everything has been read from a node that did not write it.

import { randomFrom } from '../../src/doors/tour/random.ts';
import { BookOracle } from './book-oracle.ts';
import { Writers } from './book-writer.ts';
import { Processes, type ProcessNode } from './process-node.ts';

export interface KillsOptions {
  /** Of actors and of partitions, together. */
  readonly moves: number;
  /** Likelihood of a kill in a step, in which one actor moves or a few partitions do. */
  readonly kill: number;
  readonly seed: number;
  readonly progress?: (moves: number, kills: number) => void;
}

export interface KillsReport {
  readonly moves: number;
  readonly partitions: number;
  readonly actors: number;
  readonly kills: number;
  /** Asked for, and not made: refused, called off, or its outcome unknown. */
  readonly notMade: number;
  readonly lines: number;
  readonly values: number;
  readonly pausedMs: readonly number[];
  /** What did not hold. */
  readonly troubles: readonly string[];
}

const names = ['n1', 'n2', 'n3'] as const;
const patienceMs = 60_000;
const keysOfStore = 200;
/** How long a node that was killed is away, at most. */
const awayMsMax = 1_000;

export async function killWhileMoving(options: KillsOptions): Promise<KillsReport> {
  await using processes = new Processes();
  return new Killing(processes, options).run();
}

class Killing {
  readonly #processes: Processes;
  readonly #options: KillsOptions;
  readonly #random;
  readonly #oracle = new BookOracle();
  readonly #writers: Writers;
  readonly #troubles: string[] = [];
  /** Of each key: the last number that was acknowledged, and the last that was tried. */
  readonly #values = new Map<string, { acknowledged: number; tried: number }>();
  readonly #pausedMs: number[] = [];
  #actors = 0;
  #partitions = 0;
  #kills = 0;
  #notMade = 0;
  #over = false;

  constructor(processes: Processes, options: KillsOptions) {
    this.#processes = processes;
    this.#options = options;
    this.#random = randomFrom(options.seed);
    this.#writers = new Writers(this.#oracle);
  }

  async run(): Promise<KillsReport> {
    const { moves, progress } = this.#options;
    await this.#processes.start(names);
    const units = await this.#units();
    // They do not insist: an actor remembers 256 operations, and a node may be away for longer than the others need for those.
    for (const unit of units) for (const name of names) this.#writers.begin(this.#node(name), unit, false);
    const puts = names.map(name => this.#put(this.#node(name), name));
    while (this.#actors + this.#partitions < moves) {
      await this.#step(units);
      progress?.(this.#actors + this.#partitions, this.#kills);
    }
    await this.#settle();
    this.#over = true;
    await Promise.all([this.#writers.end(), ...puts]);
    await this.#judge(units);
    return {
      moves: this.#actors + this.#partitions,
      partitions: this.#partitions,
      actors: this.#actors,
      kills: this.#kills,
      notMade: this.#notMade,
      lines: units.reduce((sum, unit) => sum + this.#oracle.acked(unit), 0),
      values: [...this.#values.values()].reduce((sum, { acknowledged }) => sum + acknowledged, 0),
      pausedMs: this.#pausedMs,
      troubles: [...this.#troubles, ...this.#writers.troubles],
    };
  }

  #node(name: string): ProcessNode {
    return this.#processes.node(name);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)] as T;
  }

  async #units(): Promise<string[]> {
    const of = await Promise.all(
      names.flatMap(name => [this.#processes.unitsOf(name, 'book', 1), this.#processes.unitsOf(name, 'diary', 1)]),
    );
    return of.flat();
  }

  /** Each node counts up in keys of its own. */
  async #put(node: ProcessNode, name: string): Promise<void> {
    for (let i = 0; !this.#over; i++) {
      const key = `${name}-${i % keysOfStore}`;
      const value = this.#values.get(key) ?? { acknowledged: 0, tried: 0 };
      this.#values.set(key, value);
      value.tried++;
      const done = await node.ask('replace', key, value.tried).then(
        () => true,
        () => false,
      );
      if (done) value.acknowledged = value.tried;
      else await pause(20);
    }
  }

  async #step(units: readonly string[]): Promise<void> {
    const isKilled = this.#random.below(1_000) < this.#options.kill * 1_000;
    const isOfPartitions = this.#random.below(3) === 0;
    const victim = this.#pick(names);
    const by = this.#pick(names);
    const under = isOfPartitions ? this.#weigh(by) : this.#move(by, this.#pick(units));
    if (isKilled) {
      await pause(this.#random.below(isOfPartitions ? 400 : 60));
      this.#kills++;
      await this.#node(victim).kill();
      // As whoever supervises it would: he does not wait for what is asked of the others.
      await pause(this.#random.below(awayMsMax));
      await this.#node(victim).start();
    }
    await under;
    if (isOfPartitions || isKilled) await this.#settle();
    await this.#count();
  }

  async #move(by: string, unit: string): Promise<void> {
    try {
      this.#pausedMs.push((await this.#node(by).ask('relocate', unit, this.#pick(names))).pausedMs);
      this.#actors++;
    } catch {
      this.#notMade++;
    }
  }

  /** Other weights: some partitions move. */
  async #weigh(by: string): Promise<void> {
    const weights = Object.fromEntries(names.map(name => [name, 1 + this.#random.below(4)]));
    try {
      await this.#node(by).ask('weigh', weights);
      await pause(this.#random.below(600));
    } catch {
      this.#notMade++;
    }
  }

  /** What every node has handed on since it was asked last, in this life. */
  async #count(): Promise<void> {
    for (const name of names) {
      const lefts = await this.#node(name)
        .ask('lefts')
        .catch(() => []);
      this.#partitions += lefts.length;
      this.#pausedMs.push(...lefts);
    }
  }

  /** All of them go by one ring, and nothing is on its way. */
  async #settle(): Promise<void> {
    const until = performance.now() + patienceMs;
    for (;;) {
      const rings = await Promise.all(
        names.map(name =>
          this.#node(name)
            .ask('ring')
            .catch(() => undefined),
        ),
      );
      const [first] = rings;
      if (first !== undefined && first.next.length === 0 && rings.every(ring => ring?.epoch === first.epoch)) return;
      if (performance.now() > until) {
        this.#troubles.push(
          `partitions are still on their way after ${patienceMs / 1_000} s: ${JSON.stringify(rings)}`,
        );
        return;
      }
      await this.#count();
      await pause(20);
    }
  }

  async #judge(units: readonly string[]): Promise<void> {
    for (const unit of units) {
      const lines = await this.#patiently(() => this.#node(this.#pick(names)).ask('read', unit));
      this.#troubles.push(...this.#oracle.troubles(unit, lines));
      const places = await Promise.all(names.map(name => this.#patiently(() => this.#node(name).ask('locate', unit))));
      const at = new Set(places.map(({ node }) => node));
      if (at.size !== 1) this.#troubles.push(`${unit} is on ${[...at].join(' and ')}`);
    }
    for (const [key, { acknowledged, tried }] of this.#values) {
      const reader = names.find(name => !key.startsWith(name)) as string;
      const values = await this.#patiently(() => this.#node(reader).ask('get', key));
      const [value = 0] = values as number[];
      if (values.length > 1 || value < acknowledged || value > tried)
        this.#troubles.push(`${key} is ${values.join(' and ')}; ${acknowledged} was acknowledged, ${tried} was tried`);
    }
  }

  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++)
      try {
        return await ask();
      } catch (error) {
        if (tries === 100) throw error;
        await pause(100);
      }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
