// One awake actor: its mailbox, its turn, and the object the user sees as `this.self`. Being both saves one object an
// actor; the parts few actors use (timers, children, stash, gate, watches) sit in `extras`, made on first use. An idle
// actor holds no mailbox either. bench/local measures the bytes.
//
// Invariant: at most one exclusive turn is open; user messages run only while no `blocked` flag is set; once `dead`, an
// activation never runs, sends or stores again.

import { TroupeError } from '../errors.ts';
import { stashMax } from '../limits.ts';
import type { Actor, Departure, ReminderTime, Self, TimerId, TimerWork } from './actor.ts';
import type { Answered } from './answered.ts';
import { type Call, ended } from './call.ts';
import type { ActorType } from './define-actor.ts';
import { overflow } from './delivery.ts';
import { blocked, crowded, dead, fronted, furnished, moving, queued, stashing, stopping } from './flags.ts';
import type { Gate } from './gate.ts';
import type { HostedType } from './hosted-type.ts';
import { Mailbox } from './mailbox.ts';
import type { PackedTimer } from './moves.ts';
import { type AnyRef, BaseRef, type Ref } from './refs.ts';
import type { RestartGuard } from './supervision.ts';
import { type ActorTimer, cancelTimer, startTimer } from './timers.ts';
import { exclusiveMode } from './turn-modes.ts';
import { unitsOf } from './weight.ts';
import type { Log, Millis } from './world.ts';

// Constants of this module are folded into the machine code; an imported one costs a load and two checks each time.
const inQueueOrBlocked: number = queued | blocked;
const standBehind: number = crowded;
const away: number = dead | moving;

/** A message set aside: stashed, or put back in front. */
export interface Parked {
  readonly head: number;
  readonly a0: unknown;
  readonly a1: unknown;
  readonly meta: Call | null;
}

export interface Extras {
  /** Undroppable: stop, timers, departures. Each is a turn before user messages. */
  control: Work[];
  /** Messages put back by unstashAll() or shipped by a move: they go before the mailbox. */
  front: Parked[];
  stash: Parked[];
  timers: Map<TimerId, ActorTimer> | null;
  nextTimer: number;
  /** Timers made by onActivate() so far: a move finds each again by its place among them. */
  madeTimers: number;
  children: Activation[] | null;
  guard: RestartGuard | null;
  gate: Gate | null;
  abort: AbortController | null;
  /** Senders waiting for a slot of an overflow: 'wait' mailbox. */
  waiters: Waiter[];
  /** The host's count of lapsed asks when those in this mailbox were last thrown out. */
  lapsedAt: number;
  /** Asks the mailbox takes while they expire in it; 0: as many as it holds (mailbox-bound.ts). */
  bound: number;
  /** Turns open right now that are 'read' or 'interleave'. */
  overlapping: number;
  /** Those of them that are 'read': an exclusive turn waits for these. */
  reading: number;
  /** Exclusive turns open inside the open exclusive turn: re-entered by its own call chain. */
  nested: number;
  /** Calls the open turns have made and not heard of. */
  waits: Call | null;
  /** What a move waits for: called when no turn is open and nothing is awaited. */
  onQuiet: (() => void) | null;
  watches: number;
  /** onDeactivate('moved') has run; a move that fails after it must run onActivate() again. */
  leftForMove: boolean;
  shippedTimers: readonly PackedTimer[] | null;
  /** Operations done once: call(ref, { opId }). */
  answered: Answered | null;
  /** Threads that were asked to pause because this mailbox is full. */
  paused: Set<number> | null;
}

export interface Waiter {
  readonly message: Parked;
  readonly admit: () => void;
  readonly refuse: (error: TroupeError) => void;
}

/** One piece of control work. `run` is a turn, of that mode: it may return a promise. */
export interface Work {
  readonly mode: number;
  readonly name: string;
  readonly run: (actor: Actor) => unknown;
}

/** What a spawned child has instead of a key. Its text form is made only when somebody asks. */
export class Birth {
  readonly number: number;
  readonly parent: Activation;
  readonly props: unknown;
  constructor(number: number, parent: Activation, props: unknown) {
    this.number = number;
    this.parent = parent;
    this.props = props;
  }
}

export class Activation implements Self {
  readonly hosted: HostedType;
  /** The key of a named actor, the birth of a spawned one. */
  readonly keyed: string | Birth;
  actor: Actor | null = null;
  box: Mailbox | null = null;
  flags = 0;
  epochNumber: number;
  /** Host tick of the last slice: passivation.ts. */
  usedTick = 0;
  /** A named actor's place among the residents (passivation.ts), a child's among its parent's children (failures.ts). */
  place = -1;
  extras: Extras | null = null;

  constructor(hosted: HostedType, keyed: string | Birth, epoch: number) {
    this.hosted = hosted;
    this.keyed = keyed;
    this.epochNumber = epoch;
  }

  /** Alive, and not in motion: messages may go straight into its mailbox. */
  get isHere(): boolean {
    return (this.flags & away) === 0;
  }

  /** Takes a message: undefined when accepted, a promise when the sender must wait for a slot; throws OVERLOADED. */
  accept(code: number, a0: unknown, a1: unknown): Promise<void> | undefined {
    const head = code | (unitsOf(code, a0, a1) << 10);
    const box = this.box ?? this.openBox();
    const { flags, hosted } = this;
    if ((flags & standBehind) !== 0 || !box.push(head, a0, a1, null))
      return overflow(hosted.host, this, head, a0, a1, null);
    if ((flags & inQueueOrBlocked) === 0) {
      this.flags = flags | queued;
      hosted.scheduler.add(this);
    }
    return undefined;
  }

  /** The same for a message that wants an outcome. False when the mailbox is full. */
  offer(head: number, a0: unknown, a1: unknown, meta: Call | null): boolean {
    const box = this.box ?? this.openBox();
    if ((this.flags & crowded) !== 0 || !box.push(head, a0, a1, meta)) return false;
    this.ready();
    return true;
  }

  /** Puts the actor in the run queue if something may run. */
  ready(): void {
    if ((this.flags & (queued | blocked)) === 0) {
      this.flags |= queued;
      this.hosted.scheduler.add(this);
    }
  }

  openBox(): Mailbox {
    const spec = this.hosted.spec;
    this.box = Mailbox.take(spec.capacity, spec.bytes);
    this.hosted.host.boxes.push(this);
    return this.box;
  }

  /** Adds undroppable work; it runs before user messages, as an exclusive turn unless said otherwise. */
  work(name: string, run: (actor: Actor) => unknown, mode: number = exclusiveMode): void {
    if ((this.flags & dead) !== 0) return;
    this.more().control.push({ name, run, mode });
    this.ready();
  }

  /** Calls the open turns wait for: the head of the list kept in call.ts. */
  get waits(): Call | null {
    return this.extras === null ? null : this.extras.waits;
  }

  /** What spawn() was given, for a start and each restart. */
  get props(): unknown {
    return typeof this.keyed === 'string' ? undefined : this.keyed.props;
  }

  get parent(): Activation | null {
    return typeof this.keyed === 'string' ? null : this.keyed.parent;
  }

  more(): Extras {
    if (this.extras !== null) return this.extras;
    this.flags |= furnished;
    this.extras = {
      control: [],
      front: [],
      stash: [],
      timers: null,
      nextTimer: 1,
      madeTimers: 0,
      children: null,
      guard: null,
      gate: null,
      abort: null,
      waiters: [],
      lapsedAt: 0,
      bound: 0,
      overlapping: 0,
      reading: 0,
      nested: 0,
      waits: null,
      onQuiet: null,
      watches: 0,
      leftForMove: false,
      shippedTimers: null,
      paused: null,
      answered: null,
    };
    return this.extras;
  }

  // What the user sees as this.self.

  get type(): string {
    return this.hosted.name;
  }

  get key(): string {
    return typeof this.keyed === 'string' ? this.keyed : this.hosted.host.childKey(this.keyed.number);
  }

  get id(): string {
    return `${this.hosted.name}/${this.key}`;
  }

  get epoch(): number {
    return this.epochNumber;
  }

  get signal(): AbortSignal {
    const more = this.more();
    if (more.abort === null) {
      more.abort = new AbortController();
      if ((this.flags & dead) !== 0) more.abort.abort();
    }
    return more.abort.signal;
  }

  get traceparent(): string | undefined {
    return this.hosted.host.traceNow();
  }

  get log(): Log {
    return this.hosted.host.logOf(this);
  }

  ref(): AnyRef;
  ref<A extends Actor>(type: ActorType<A>, key: string): Ref<A>;
  ref(type?: ActorType, key?: string): AnyRef {
    const host = this.hosted.host;
    if (type !== undefined) return host.ref(type, key as string);
    return host.refTo(this);
  }

  spawn<A extends Actor>(type: ActorType<A>, props?: unknown): Ref<A> {
    this.alive('spawn');
    return this.hosted.host.spawn(this, type, props) as unknown as Ref<A>;
  }

  after(ms: Millis, work: TimerWork): TimerId {
    this.alive('after');
    return startTimer(this, ms, 0, work);
  }

  every(ms: Millis, work: TimerWork): TimerId {
    this.alive('every');
    if (typeof ms !== 'number' || !(ms >= 1))
      throw new TroupeError('BAD_OPTION', `every() of ${this.id} needs a period of at least 1 ms, not ${String(ms)}`);
    return startTimer(this, ms, ms, work);
  }

  remind(name: string, when: ReminderTime): Promise<void> {
    this.alive('remind');
    return this.hosted.host.reminders.set(this, name, when);
  }

  cancel(timerOrReminder: TimerId | string): void | Promise<void> {
    if (typeof timerOrReminder === 'number') cancelTimer(this, timerOrReminder);
    else return this.hosted.host.reminders.cancel(this, timerOrReminder);
  }

  watch(ref: AnyRef, tell: (departure: Departure) => unknown): () => void {
    this.alive('watch');
    this.hosted.host.observer?.effect(this, 'watch', { ref: String(ref) });
    if (!(ref instanceof BaseRef)) throw new TroupeError('BAD_MESSAGE', 'watch needs a ref; got something else');
    return this.hosted.host.watches.watch(this, ref, tell);
  }

  stash(): void {
    const turn = this.hosted.host.turn();
    if (turn?.act !== this || !turn.hasMessage || !turn.open) {
      throw new TroupeError(
        'BAD_OPTION',
        `${this.id}: stash() sets aside the message of a turn; a timer, a hook, or what runs after the turn, has none`,
      );
    }
    const more = this.more();
    if (more.stash.length >= stashMax) more.stash = more.stash.filter(({ meta }) => meta?.state !== ended);
    if (more.stash.length >= stashMax) {
      throw new TroupeError(
        'OVERLOADED',
        `${this.id} has stashed ${stashMax} messages, the most it may; call unstashAll() or refuse the message`,
        { details: { stashed: stashMax } },
      );
    }
    turn.stashed = true;
    this.flags |= stashing;
  }

  unstashAll(): void {
    const more = this.more();
    if (more.stash.length === 0) return;
    more.front = [...more.stash, ...more.front];
    more.stash = [];
    this.flags |= fronted;
    this.ready();
  }

  publish(topic: string, value: unknown): void {
    this.alive('publish');
    this.hosted.host.topics.publish(topic, value, this);
  }

  subscribe(topic: string): void {
    this.alive('subscribe');
    this.hosted.host.topics.subscribe(topic, this);
  }

  unsubscribe(topic: string): void {
    this.hosted.host.topics.unsubscribe(topic, this);
  }

  stop(): void {
    if ((this.flags & dead) !== 0) return;
    this.hosted.host.observer?.effect(this, 'stop', {});
    this.flags |= stopping;
    // Outside a turn nothing would look at the flag: an empty piece of work makes a turn.
    if (this.hosted.host.current !== this) this.work('stop', () => undefined);
  }

  // What the base class reaches behind `self`.

  save(actor: Actor, level: 'committed' | 'flushed'): Promise<void> {
    this.alive('save', actor);
    return this.hosted.host.persistence.save(this, actor, level);
  }

  append(actor: Actor, event: unknown): void {
    this.alive('append', actor);
    this.hosted.host.persistence.append(this, actor, event);
  }

  /** `actor`: whose code it is; after a restart a turn of the old life must not touch the new one. */
  private alive(what: string, actor: Actor | null = this.actor): void {
    if ((this.flags & dead) !== 0 || actor !== this.actor) {
      throw new TroupeError(
        'STOPPED',
        `${this.id} (epoch ${this.epochNumber}) has ended or was restarted since; ${what}() has no effect`,
      );
    }
  }
}
