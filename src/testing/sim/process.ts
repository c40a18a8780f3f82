// A simulated process: a program and what the world is to it. Its memory dies with it, its disk does not.
//
//     down ──start──▶ up ──pause──▶ paused ──resume──▶ up
//      ▲               └───crash───────┴──▶ down          each start is a new life; events of an earlier one never run
//
// Two pauses. Of a stopped process (SIGSTOP, a long collection) the clock goes on, so that on waking it can see what it has
// slept through; of a suspended one (a frozen virtual machine) the clock stands, and it cannot.

import type { WireTransport } from '../../runtime/links/wire.ts';
import type { Cancel, Clock, Log, World } from '../../runtime/world.ts';
import { context, seededRandom, wallStart } from '../virtual-world.ts';
import { SimDisk } from './disk.ts';
import { hashOf } from './draws.ts';
import { type SimEvent, type Simulation, textOf } from './simulation.ts';
import { wiresOf } from './wires.ts';

export interface SimWorld extends World {
  /** Name of the process. */
  readonly name: string;
  /** 1 for the first life of the process. Not stored: a node must know its incarnation by itself. */
  readonly life: number;
  /** Small files that outlive the process, but not a wipe. */
  readonly files: Map<string, Uint8Array>;
  /** The simulated network as this process sees it. */
  readonly wires: WireTransport;
  /** The same, as another thread of the process sees it: with turns of its own. */
  thread(number: number): World;
  /** A named place that has been reached: faults may wait for it, and it is in the trace. */
  mark(point: string, peer?: string): void;
}

/** What one life of a process is to those outside. */
export interface Life {
  /** Ends in good order. */
  stop?(): Promise<void>;
  /** Called when its store cannot go on, at once: the process ends with the present event, and nothing may leave it any more. */
  fatal?(): void;
  /** Called after a crash, to let go of what lies outside of the world. It can save nothing any more. */
  crashed?(): void;
}

/** What runs in a process; called for each of its lives. */
export type Program<L extends Life = Life> = (world: SimWorld) => L | Promise<L>;

/** A turn of the event loop takes some 20 to 80 us, so that time passes whatever the actors do. */
const turnMs = (draw: number): number => 0.02 + 0.06 * draw;

export class SimProcess<L extends Life = Life> {
  readonly name: string;
  readonly disk: SimDisk = new SimDisk();
  state: 'down' | 'up' | 'paused' = 'down';
  lives = 0;
  /** Undefined while down, and until the program has started. */
  life: L | undefined;
  /** Time the clock has not counted: it only stands while suspended. */
  stoodMs = 0;
  wallShiftMs = 0;
  readonly #sim: Simulation<L>;
  readonly #program: Program<L>;
  #deferred: SimEvent<L>[] = [];
  #pausedAt = 0;
  #suspended = false;
  #turns = 0;
  /** By thread: when its last turn that is planned will be. */
  #turnAt: number[] = [];

  constructor(sim: Simulation<L>, name: string, program: Program<L>) {
    this.#sim = sim;
    this.name = name;
    this.#program = program;
  }

  /** Begins a life. The program starts as an event of the process. */
  start(): void {
    if (this.state !== 'down') return;
    this.state = 'up';
    this.lives++;
    const life = this.lives;
    this.#turnAt = [];
    this.#sim.note(this.name, `starts life ${life}`);
    this.#sim.network.wake(this.name);
    this.#sim.plan(this, 0, 'start', () => {
      new Promise<L>(resolve => resolve(this.#program(this.#world(life)))).then(
        made => {
          if (this.lives === life && this.state !== 'down') this.life = made;
        },
        (error: unknown) => {
          if (this.lives === life) this.#sim.failed(this, `it could not start: ${textOf(error)}`);
        },
      );
    });
  }

  /** `kept` as for SimDisk.leave. `silent`: the machine is gone too, and nobody resets its connections. */
  crash(why: string, { kept = 1, silent = false }: { kept?: number; silent?: boolean } = {}): void {
    if (this.state === 'down') return;
    this.#sim.note(this.name, `crashes: ${why}`);
    const { life } = this;
    this.state = 'down';
    this.life = undefined;
    this.#deferred = [];
    this.#suspended = false;
    this.disk.leave(kept);
    this.#sim.network.crash(this.name, { silent });
    life?.crashed?.();
    this.#sim.onCrash(this);
  }

  pause(suspended: boolean): void {
    if (this.state !== 'up') return;
    this.#sim.note(this.name, suspended ? 'is suspended' : 'is stopped');
    this.state = 'paused';
    this.#pausedAt = this.#sim.now;
    this.#suspended = suspended;
  }

  resume(): void {
    if (this.state !== 'paused') return;
    this.#sim.note(this.name, 'goes on');
    if (this.#suspended) this.stoodMs += this.#sim.now - this.#pausedAt;
    this.#suspended = false;
    this.state = 'up';
    for (const event of this.#deferred.splice(0)) this.#sim.again(event, this.#sim.now);
  }

  /** Events that came while it slept run when it goes on, in their order. */
  defer(event: SimEvent<L>): void {
    this.#deferred.push(event);
  }

  mono(): number {
    return (this.#suspended ? this.#pausedAt : this.#sim.now) - this.stoodMs;
  }

  #world(life: number): SimWorld {
    const sim = this.#sim;
    const { name } = this;
    const isLive = (): boolean => this.lives === life && this.state !== 'down';
    const later = (delayMs: number, what: string, fn: () => void): Cancel =>
      isLive() ? sim.plan(this, delayMs, what, fn) : () => undefined;
    const clockOf = (thread: number): Clock => ({
      // It does not stand still while the machine is suspended: that is when it is set.
      now: () => wallStart + this.mono() + this.stoodMs + this.wallShiftMs,
      mono: () => this.mono(),
      // As setTimeout: whole milliseconds, at least one. A clock of fractions that stood is off by 1e-13, for ever.
      timer: (delayMs, fn) => later(Math.max(1, Math.ceil(delayMs)), 'timer', fn),
      soon: fn => {
        const due = sim.now + turnMs(sim.draw('turn', name, life, ++this.#turns));
        const at = Math.max(this.#turnAt[thread] ?? 0, due);
        this.#turnAt[thread] = at;
        later(at - sim.now, 'soon', fn);
      },
      micro: fn => void resolved.then(fn),
    });
    const mark = (point: string, peer?: string): void => {
      if (isLive()) sim.mark(this, point, peer);
    };
    const world: SimWorld = {
      name,
      life,
      files: this.disk.files,
      mark,
      thread: number => ({
        ...{ ...world, clock: clockOf(number), context: context() },
        random: seededRandom(hashOf(sim.seed, ['random', name, life, number])),
      }),
      clock: clockOf(0),
      context: context(),
      random: seededRandom(hashOf(sim.seed, ['random', name, life])),
      transport: { peers: () => [0] },
      wires: wiresOf(sim.network.transport(name), fn => {
        if (isLive()) sim.arrive(this, 'net', fn);
        return isLive();
      }),
      storage: {
        open: options =>
          this.disk.open(options, {
            draw: (...parts) => sim.draw(name, life, ...parts),
            later,
            mark,
            onFatal: why => {
              if (!this.disk.isBroken)
                sim.violation(`the store of ${name} gave up, and nothing was wrong with its disk: ${why.message}`);
              if (isLive()) this.life?.fatal?.();
              sim.plan(this, 0, 'fatal', () => sim.failed(this, why.message));
            },
          }),
      },
      spawner: { threads: 0 },
      log: this.#log(),
    };
    return world;
  }

  /** What a node has to say is part of the trace. */
  #log(): Log {
    const say = (level: string) => (fields: object | string, message?: string) =>
      this.#sim.note(this.name, `${level}: ${typeof fields === 'string' ? fields : (message ?? '')}`);
    const quiet = (): void => undefined;
    return { trace: quiet, debug: quiet, info: say('info'), warn: say('warn'), error: say('error') };
  }
}

const resolved: Promise<void> = Promise.resolve();
