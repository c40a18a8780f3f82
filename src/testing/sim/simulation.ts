// Virtual time for several processes in one thread: take the earliest event, set the clock to it, run it, let everything it has
// set in motion come to rest, take the next. Nothing else makes time pass.
//
// Invariant: same seed, same programs, same faults: same trace hash.

import type { Cancel, Clock, Millis } from '../../runtime/world.ts';
import { VirtualNetwork } from '../virtual-network.ts';
import { drive } from '../virtual-world.ts';
import { type Draw, drawsOf, hashOf } from './draws.ts';
import { EventHeap } from './event-heap.ts';
import { type Life, type Program, SimProcess } from './process.ts';
import { Trace } from './trace.ts';

export interface SimEvent<L extends Life = Life> {
  at: Millis;
  tie: number;
  order: number;
  readonly target: SimProcess<L> | undefined;
  readonly life: number;
  /** What the clock of the process had left out when this was planned; undefined: it comes from outside, where no clock stood. */
  stoodMs: Millis | undefined;
  readonly what: string;
  readonly fn: () => void;
  cancelled: boolean;
}

export interface SimulationOptions {
  readonly seed: number;
  readonly traceLength: number;
  /** Events after which the run is given up: something never rests. */
  readonly eventsMax: number;
}

export class Simulation<L extends Life = Life> {
  readonly seed: number;
  readonly draw: Draw;
  readonly trace: Trace;
  readonly violations: string[] = [];
  readonly processes = new Map<string, SimProcess<L>>();
  /** Between the processes, on a clock that no fault of theirs touches. */
  readonly network: VirtualNetwork;
  /** Told of every mark, after it is in the trace. */
  onMark: (target: SimProcess<L>, point: string, peer: string) => void = () => undefined;
  /** The memory of a process is gone. */
  onCrash: (target: SimProcess<L>) => void = () => undefined;
  now: Millis = 0;
  /** Whose event runs, with all that it sets in motion at once; undefined: nobody's. */
  running: SimProcess<L> | undefined;
  readonly #heap = new EventHeap<SimEvent<L>>();
  readonly #eventsMax: number;
  #order = 0;

  constructor({ seed, traceLength, eventsMax }: SimulationOptions) {
    this.seed = seed;
    this.draw = drawsOf(seed);
    this.trace = new Trace(traceLength);
    this.#eventsMax = eventsMax;
    this.network = new VirtualNetwork({ clock: this.clock, random: { u32: () => hashOf(seed, ['network']) } });
    this.network.onEvent = (event, connection) => this.note(connection, event);
  }

  addProcess(name: string, program: Program<L>): SimProcess<L> {
    const target = new SimProcess<L>(this, name, program);
    this.processes.set(name, target);
    return target;
  }

  /** A clock that no fault touches: for the network, for faults and for observers. */
  readonly clock: Pick<Clock, 'mono' | 'timer'> = {
    mono: () => this.now,
    timer: (delayMs, fn) => this.plan(undefined, Math.max(0, delayMs), 'outside', fn),
  };

  /** Runs fn as an event of the process (of its present life), or of nobody. */
  plan(target: SimProcess<L> | undefined, delayMs: Millis, what: string, fn: () => void): Cancel {
    const event = this.#event(target, delayMs, what, fn, target?.stoodMs ?? 0);
    return () => {
      event.cancelled = true;
    };
  }

  /** What comes to a process from outside: it happens now, or as soon as the process runs again, behind what came before it. */
  arrive(target: SimProcess<L>, what: string, fn: () => void): void {
    this.#event(target, 0, what, fn, undefined);
  }

  #event(
    target: SimProcess<L> | undefined,
    delayMs: Millis,
    what: string,
    fn: () => void,
    stoodMs: Millis | undefined,
  ) {
    const at = this.now + delayMs;
    const life = target?.lives ?? 0;
    const order = this.#order++;
    const event: SimEvent<L> = {
      at,
      tie: this.#tie(target, at),
      order,
      target,
      life,
      stoodMs,
      what,
      fn,
      cancelled: false,
    };
    this.#heap.push(event);
    return event;
  }

  /** At one moment all events of a process have one tie-break, so that they keep the order in which they were planned. */
  #tie(target: SimProcess<L> | undefined, at: Millis): number {
    return target === undefined ? 0 : this.draw('tie', target.name, Math.floor(at * 1_000));
  }

  /** Plans it anew, behind everything that was called here before. */
  again(event: SimEvent<L>, at: Millis): void {
    const stood = event.target?.stoodMs ?? 0;
    // The clock of a suspended process stood: what was due in 5 ms then is due in 5 ms now.
    event.at = event.stoodMs === undefined ? at : Math.max(at, event.at + stood - event.stoodMs);
    if (event.stoodMs !== undefined) event.stoodMs = stood;
    event.tie = this.#tie(event.target, event.at);
    event.order = this.#order++;
    this.#heap.push(event);
  }

  note(who: string, what: string): void {
    this.trace.add(this.now, who, what);
  }

  /** `peer`: the process with which that point is reached, if there is one. */
  mark(target: SimProcess<L>, point: string, peer: string = ''): void {
    this.note(target.name, point);
    this.onMark(target, point, peer);
  }

  violation(what: string): void {
    this.note('sim', `VIOLATION ${what}`);
    if (this.violations.length < violationsMax) this.violations.push(`at ${this.now.toFixed(3)} ms: ${what}`);
  }

  /** A process that cannot go on ends by itself, and is started again a little later, as by a supervisor. */
  failed(target: SimProcess<L>, why: string): void {
    target.crash(why);
    const { lives } = target;
    this.plan(undefined, restartMsMin + restartMsMore * this.draw('restart', target.name, lives), 'restart', () => {
      if (target.lives === lives) target.start();
    });
  }

  /** Lets virtual time go on to `at`, or to where `until` says true. False when the run must be given up. */
  async runTo(at: Millis, until: () => boolean = () => false): Promise<boolean> {
    let isOver = false;
    await drive(() => {
      if (isOver || until()) return false;
      if (this.trace.events > this.#eventsMax) {
        this.violation(`more than ${this.#eventsMax} events: something never rests`);
        isOver = true;
        return false;
      }
      return this.#step(at);
    });
    return !isOver;
  }

  #step(to: Millis): boolean {
    for (;;) {
      const event = this.#heap.peek();
      if (event === undefined || event.at > to) {
        this.now = to;
        return false;
      }
      this.#heap.pop();
      const { target } = event;
      if (event.cancelled) continue;
      if (target !== undefined) {
        if (target.lives !== event.life || target.state === 'down') continue;
        if (target.state === 'paused') {
          target.defer(event);
          continue;
        }
        if (event.stoodMs !== undefined && target.stoodMs !== event.stoodMs) {
          this.again(event, event.at);
          continue;
        }
      }
      this.now = event.at;
      this.running = target;
      this.trace.add(this.now, target?.name ?? 'sim', event.what);
      try {
        event.fn();
      } catch (error) {
        this.violation(`${target?.name ?? 'sim'}: an event threw ${textOf(error)}`);
      }
      return true;
    }
  }
}

const violationsMax = 20;
const restartMsMin = 50;
const restartMsMore = 450;

export const textOf = (error: unknown): string =>
  error instanceof Error ? `${(error as { code?: string }).code ?? error.name}: ${error.message}` : String(error);
