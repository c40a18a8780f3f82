// Faults as data: what, to whom, when and for how long. A seed draws a swarm of them: first which classes are on, then how many
// of each, so that a run without crashes looks for what crashes would hide (research/reliability.md 3.5).
//
// Half of them wait for a state instead of a time: "right after an acknowledgement" finds in 20 seeds what chance finds in 1,000.

import type { Millis } from '../../runtime/world.ts';
import type { Faults as WayFaults } from '../virtual-network.ts';
import { type Draw, whole } from './draws.ts';
import type { Life, SimProcess } from './process.ts';
import type { Simulation } from './simulation.ts';

export const diskFaults = ['full', 'stall', 'error', 'wipe', 'old', 'rot'] as const;
export const networkFaults = ['cut', 'one-way', 'reset', 'delay', 'slow', 'split', 'alone'] as const;
/** 'lag': what is committed takes long to survive the power; nothing is refused. */
export const faultKinds = [
  'crash',
  'power',
  'stop',
  'suspend',
  'wall',
  'lag',
  ...diskFaults,
  ...networkFaults,
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  readonly id: number;
  /** Default 0. */
  readonly act?: number;
  readonly kind: FaultKind;
  /** '*', of one that waits for a point: whoever reaches it. */
  readonly on: string;
  /** The other end, for faults of the network. '*', of one that waits for a point: with whom it is reached. */
  readonly other: string;
  /** A moment; or the nth time that this process reaches a point: from a moment on, and after it has reached another one. */
  readonly when:
    | { readonly atMs: Millis }
    | { readonly point: string; readonly nth: number; readonly fromMs?: Millis; readonly after?: string };
  readonly forMs: Millis;
  /** It ends when anybody reaches that point, if that is earlier. */
  readonly until?: string;
  /**
   * It outlasts the heal, until bringBack(): whoever it strikes is away. Of crash, power, stop, and of a split, which is then of that one from
   * all others.
   */
  readonly forGood?: boolean;
  /** In [0, 1): how much of the unflushed is kept, which record rots, how far the wall clock jumps, who is split from whom, ... */
  readonly draw: number;
}

export interface FaultPlanOptions {
  readonly draw: Draw;
  readonly kinds: readonly FaultKind[];
  readonly processes: readonly string[];
  readonly points: readonly string[];
  readonly safetyMs: Millis;
  /** Default 2 s. */
  readonly longestMs?: Millis;
  /** Nothing happens before: a cluster comes up first. Default 0. */
  readonly fromMs?: Millis;
  /** At most the nth time of a point. Default 12. */
  readonly nthMax?: number;
}

/** At most so many of one kind in a run: more is a storm in which nothing is ever acknowledged. */
const perKindMax = 4;
const longestMsDefault = 2_000;
const nthMaxDefault = 12;
/** The worst delay of a way, and the fewest bytes a ms: 20 KB/s. */
const delayMsMax = 500;
const slowBytesPerMs = 20;
const flushMsMax = 400;

export function planFaults(options: FaultPlanOptions): Fault[] {
  const { draw, kinds, processes, points, safetyMs, longestMs = longestMsDefault } = options;
  const { fromMs = 0, nthMax = nthMaxDefault } = options;
  const faults: Fault[] = [];
  for (const kind of kinds) {
    if (draw('class', kind) < 0.5) continue;
    const count = 1 + whole(draw('count', kind), perKindMax);
    for (let index = 0; index < count; index++) {
      const of = (what: string): number => draw('fault', kind, index, what);
      const on = processes[whole(of('on'), processes.length)] as string;
      const point = points[whole(of('point'), points.length)];
      const atMs = fromMs + Math.floor(of('at') * (safetyMs - fromMs));
      const when =
        point === undefined || of('triggered') < 0.5 ? { atMs } : { point, nth: 1 + whole(of('nth'), nthMax) };
      const others = processes.filter(name => name !== on);
      const other = others[whole(of('other'), others.length)] ?? on;
      const forMs = Math.ceil(of('for') ** 2 * longestMs);
      faults.push({
        id: faultKinds.indexOf(kind) * perKindMax + index,
        kind,
        on,
        other,
        when,
        forMs,
        draw: of('draw'),
      });
    }
  }
  return faults;
}

/** Lets faults happen; after heal() none does, and what they have done is undone, but for what is lost. */
export class Faults<L extends Life> {
  readonly #sim: Simulation<L>;
  /** `begun`: who has reached the point it has to come after. */
  #armed: { readonly fault: Fault; left: number; readonly begun: Set<string> }[] = [];
  #isOver = false;
  /** Whom a fault for good has struck, and which. */
  readonly #away = new Map<string, FaultKind>();
  /** What ends when a point is reached. */
  #ends: { readonly point: string; readonly end: () => void }[] = [];
  /** Told before a disk loses what was committed. */
  onLoss: (target: SimProcess<L>, kind: FaultKind) => void = () => undefined;

  constructor(sim: Simulation<L>, faults: readonly Fault[]) {
    this.#sim = sim;
    sim.onMark = (target, point, peer) => this.#reached(target, point, peer);
    for (const fault of faults) {
      const { when } = fault;
      if ('point' in when) this.#armed.push({ fault, left: when.nth, begun: new Set() });
      else sim.plan(undefined, when.atMs - sim.now, `fault ${fault.id}`, () => this.#happen(fault));
    }
  }

  /** What waits for a point is looked at once a mark; it happens when the turn that made the mark is over. */
  #reached({ name }: SimProcess<L>, point: string, peer: string): void {
    for (const each of this.#ends) if (each.point === point) this.#sim.plan(undefined, 0, `ends at ${point}`, each.end);
    this.#ends = this.#ends.filter(each => each.point !== point);
    for (const each of this.#armed) {
      const { when, on } = each.fault;
      if (!('point' in when) || this.#sim.now < (when.fromMs ?? 0)) continue;
      if (when.after === point) each.begun.add(name);
      if (when.point !== point || (on !== name && on !== '*')) continue;
      if ((when.after !== undefined && !each.begun.has(name)) || --each.left > 0) continue;
      const fault = { ...each.fault, on: name, other: this.#otherOf(each.fault, name, peer) };
      this.#sim.plan(undefined, 0, `fault ${fault.id}`, () => this.#happen(fault));
    }
    this.#armed = this.#armed.filter(({ left }) => left > 0);
  }

  /** The peer; of a point that has none, any other. */
  #otherOf({ other, draw }: Fault, name: string, peer: string): string {
    if (other !== '*') return other;
    if (peer !== '' && peer !== name) return peer;
    const others = [...this.#sim.processes.keys()].filter(each => each !== name);
    return others[whole(draw, others.length)] ?? name;
  }

  #happen(fault: Fault): void {
    const target = this.#sim.processes.get(fault.on);
    if (this.#isOver || target === undefined) return;
    const { kind, other, on, forMs, draw, forGood = false } = fault;
    if (forGood && target.state !== 'up') return;
    if (forGood) this.#away.set(on, kind);
    const { network } = this.#sim;
    this.#sim.note(
      on,
      `FAULT ${kind}${(networkFaults as readonly string[]).includes(kind) ? ` ${other}` : ''}${forGood ? ' for good' : ''}`,
    );
    const later = (undo: () => void): void => {
      if (forGood) return;
      let hasEnded = false;
      const end = (): void => {
        if (hasEnded || this.#isOver) return;
        hasEnded = true;
        undo();
      };
      this.#sim.plan(undefined, forMs, `fault ${fault.id} ends`, end);
      if (fault.until !== undefined) this.#ends.push({ point: fault.until, end });
    };
    switch (kind) {
      case 'crash':
        return this.#down(target, kind, 1, later);
      case 'power':
        return this.#down(target, kind, draw, later);
      case 'wipe':
      case 'old':
        return this.#down(target, kind, 1, later, () =>
          kind === 'wipe' ? target.disk.wipe() : target.disk.restoreOld(draw),
        );
      case 'stop':
      case 'suspend':
        target.pause(kind === 'suspend');
        return later(() => this.#goesOn(target));
      case 'wall':
        target.wallShiftMs += Math.round((draw - 0.5) * 7_200_000);
        return;
      case 'full':
        target.disk.full = true;
        return later(() => {
          target.disk.full = false;
        });
      case 'stall':
        target.disk.stall();
        return later(() => this.#diskGoesOn(target));
      case 'lag':
        target.disk.lagMs = Math.ceil(draw * flushMsMax);
        return later(() => {
          target.disk.lagMs = 0;
        });
      case 'error':
        target.disk.break(new Error('EIO'), draw < 0.5);
        return;
      case 'rot':
        this.onLoss(target, kind);
        target.disk.rot((...parts) => this.#sim.draw('rot', fault.id, ...parts));
        return;
      case 'cut':
        network.block(on, other);
        network.block(other, on);
        return later(() => {
          network.free(on, other);
          network.free(other, on);
        });
      case 'one-way':
        network.block(on, other);
        return later(() => network.free(on, other));
      case 'reset':
        network.cut(on, other);
        return;
      case 'delay':
        return this.#worsen(fault, { delayMs: Math.ceil(draw * delayMsMax) }, later);
      case 'slow':
        return this.#worsen(fault, { bytesPerMs: slowBytesPerMs }, later);
      case 'split':
        return forGood ? this.#isolate(on) : this.#split(draw, later);
      case 'alone':
        this.#isolate(on);
        return later(() => this.#rejoin(on));
    }
  }

  /** Whoever waited for the disk goes on as that process. */
  #diskGoesOn(target: SimProcess<L>): void {
    this.#sim.plan(target, 0, 'disk goes on', () => target.disk.go());
  }

  #worsen({ on, other }: Fault, worse: Partial<WayFaults>, later: (undo: () => void) => void): void {
    const { network } = this.#sim;
    const before = network.faultsOf(on, other);
    if (before === undefined) return;
    network.set(on, other, worse);
    later(() => network.set(on, other, before));
  }

  /** Two groups, none of them empty when there are two processes; they hear nothing of each other. */
  #split(draw: number, later: (undo: () => void) => void): void {
    const { network, processes } = this.#sim;
    const names = [...processes.keys()];
    const bits = 1 + whole(draw, 2 ** names.length - 2);
    const isLeft = (_: string, index: number): boolean => ((bits >> index) & 1) === 1;
    const left = names.filter(isLeft);
    const right = names.filter((name, index) => !isLeft(name, index));
    network.partition([left, right]);
    later(() => {
      for (const a of left)
        for (const b of right) {
          network.free(a, b);
          network.free(b, a);
        }
    });
  }

  #down(
    target: SimProcess<L>,
    kind: FaultKind,
    kept: number,
    later: (undo: () => void) => void,
    change?: () => void,
  ): void {
    if (target.state === 'down') return;
    if (kind !== 'crash') this.onLoss(target, kind);
    target.crash(kind, { kept, silent: kind !== 'crash' });
    change?.();
    later(() => this.#starts(target));
  }

  #isolate(name: string): void {
    const { network, processes } = this.#sim;
    network.partition([[name], [...processes.keys()].filter(other => other !== name)]);
  }

  #rejoin(name: string): void {
    const { network, processes } = this.#sim;
    for (const other of processes.keys()) {
      network.free(name, other);
      network.free(other, name);
    }
  }

  /** Its process, and not only its network. */
  #isGone({ name }: SimProcess<L>): boolean {
    return this.#away.has(name) && this.#away.get(name) !== 'split';
  }

  /** It is not started with the others, but then; undefined: it is away until bringBack(). */
  comesLate(name: string, atMs: Millis | undefined): void {
    this.#away.set(name, 'crash');
    if (atMs === undefined) return;
    this.#sim.plan(undefined, atMs, `${name} comes`, () => {
      this.#away.delete(name);
      this.#sim.processes.get(name)?.start();
    });
  }

  /** The end of another fault brings nobody back who is away. */
  #starts(target: SimProcess<L>): void {
    if (!this.#isGone(target)) target.start();
  }

  #goesOn(target: SimProcess<L>): void {
    if (!this.#isGone(target)) target.resume();
  }

  /** Who does not take part in what comes after the heal. */
  get away(): readonly string[] {
    return [...this.#away.keys()];
  }

  bringBack(): void {
    this.#away.clear();
    this.heal();
  }

  heal(): void {
    this.#sim.note('sim', 'HEAL');
    this.#isOver = true;
    this.#armed = [];
    this.#sim.network.heal();
    for (const [name, kind] of this.#away) if (kind === 'split') this.#isolate(name);
    for (const target of this.#sim.processes.values()) {
      target.disk.lagMs = 0;
      target.disk.full = false;
      target.disk.break(undefined);
      this.#diskGoesOn(target);
      this.#goesOn(target);
      this.#starts(target);
    }
  }
}
