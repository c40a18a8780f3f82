// One awake actor: its mailbox, its turn, and the object the user sees as `this.self`. Being both saves one object an
// actor; the parts few actors use (timers, children, stash, gate, watches) sit in `extras`, made on first use. An idle
// actor holds no mailbox either. bench/local measures the bytes.
//
// A field is 8 bytes, and there may be a million actors. So two fields hold two things, of which an actor needs one at a time:
//
//      desk     a mailbox ──────── idle at the end of a turn of the event loop ────────▶ the tick of its last use
//      papers   a named one's epoch, a child's place among its siblings ── when it needs extras ──▶ extras, which hold both
//
// A child's epoch is its parent's, until it is restarted under one of its own.
//
// Invariant: at most one exclusive turn is open; user messages run only while no `blocked` flag is set; once `dead`, an
// activation never runs, sends or stores again.

import { TroupeError } from '../errors.ts';
import { stashMax } from '../limits.ts';
import type { Actor, Departure, ReminderTime, Self, TimerId, TimerWork } from './actor.ts';
import { type Call, ended } from './call.ts';
import type { ActorType } from './define-actor.ts';
import { overflow } from './delivery.ts';
import { type Extras, newExtras } from './extras.ts';
import {
  blocked,
  crowded,
  dead,
  fronted,
  furnished,
  moving,
  queued,
  standingShift,
  stashing,
  stopping,
} from './flags.ts';
import type { HostedType } from './hosted-type.ts';
import { Mailbox } from './mailbox.ts';
import { type AnyRef, BaseRef, type Ref } from './refs.ts';
import { show } from './show.ts';
import { cancelTimer, startTimer } from './timers.ts';
import { exclusiveMode } from './turn-modes.ts';
import { unitsOf } from './weight.ts';
import type { Log, Millis } from './world.ts';

// Constants of this module are folded into the machine code; an imported one costs a load and two checks each time.
const inQueueOrBlocked: number = queued | blocked;
const standBehind: number = crowded;
const away: number = dead | moving;
const standingFree: number = (1 << standingShift) - 1;

/** What a spawned child that was given something has instead of a key. */
export class Birth {
  readonly parent: Activation;
  readonly props: unknown;
  constructor(parent: Activation, props: unknown) {
    this.parent = parent;
    this.props = props;
  }
}

export class Activation implements Self {
  readonly hosted: HostedType;
  /** The key of a named actor; the parent of a spawned one, or its birth. */
  readonly keyed: string | Activation | Birth;
  actor: Actor | null = null;
  private desk: Mailbox | number = 0;
  private papers: Extras | number;
  /** flags.ts; above them its standing among the residents. */
  flags = 0;

  /** `epochOrPlace`: see papers. */
  constructor(hosted: HostedType, keyed: string | Activation | Birth, epochOrPlace: number) {
    this.hosted = hosted;
    this.keyed = keyed;
    this.papers = epochOrPlace;
  }

  get box(): Mailbox | null {
    return typeof this.desk === 'number' ? null : this.desk;
  }

  get extras(): Extras | null {
    return typeof this.papers === 'number' ? null : this.papers;
  }

  get epochNumber(): number {
    if (typeof this.papers !== 'number') return this.papers.epoch;
    return this.parent?.epochNumber ?? this.papers;
  }

  set epochNumber(epoch: number) {
    if (typeof this.papers === 'number' && typeof this.keyed === 'string') this.papers = epoch;
    else this.more().epoch = epoch;
  }

  /** A child's index among its parent's children. */
  get place(): number {
    return typeof this.papers === 'number' ? this.papers : this.papers.place;
  }

  set place(place: number) {
    if (typeof this.papers === 'number') this.papers = place;
    else this.papers.place = place;
  }

  /** Host tick of the last use, complemented by passivation.ts; who has a mailbox is in use. */
  get usedTick(): number {
    return typeof this.desk === 'number' ? this.desk : this.hosted.host.tick;
  }

  set usedTick(tick: number) {
    if (typeof this.desk === 'number') this.desk = tick;
  }

  /** Among the residents: passivation.ts. */
  get standing(): number {
    return this.flags >>> standingShift;
  }

  set standing(standing: number) {
    this.flags = (this.flags & standingFree) | (standing << standingShift);
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
    const box = Mailbox.take(spec.capacity, spec.bytes);
    this.desk = box;
    this.hosted.host.boxes.push(this);
    return box;
  }

  /** Gives up an empty mailbox, or one that the caller will empty. */
  leaveBox(): void {
    this.desk = this.hosted.host.tick;
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
    return this.keyed instanceof Birth ? this.keyed.props : undefined;
  }

  get parent(): Activation | null {
    if (typeof this.keyed === 'string') return null;
    return this.keyed instanceof Birth ? this.keyed.parent : this.keyed;
  }

  more(): Extras {
    if (typeof this.papers !== 'number') return this.papers;
    const extras = newExtras(this.epochNumber, this.papers);
    this.flags |= furnished;
    this.papers = extras;
    return extras;
  }

  // What the user sees as this.self.

  get type(): string {
    return this.hosted.name;
  }

  get key(): string {
    return typeof this.keyed === 'string' ? this.keyed : this.hosted.host.childKey(this);
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
      throw new TroupeError('BAD_OPTION', `every() of ${this.id} needs a period of at least 1 ms, not ${show(ms)}`);
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
