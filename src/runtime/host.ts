// The runtime of one thread: types, actors awake here, the scheduler, deadlines, and the two verbs `tell` and `ask`. The
// same class runs on the caller's own thread, on worker threads, in the test kit and in the simulator; what differs is the
// World it is given and the router that knows where actors live.
//
// Reading order: ref() -> find() -> activate(); tell() and ask() -> dispatch() -> answer() / fail() / expire().

import { TroupeError } from '../errors.ts';
import { askDeadlineMsDefault, asksPerThreadMax } from '../limits.ts';
import type { Engine } from '../storage/engine.ts';
import { Activation, Birth, type Parked } from './activation.ts';
import { Actor, constructWith } from './actor.ts';
import { Call, ended, linkWaiting, unlinkWaiting } from './call.ts';
import { type Codec, createCodec } from './codec.ts';
import type { ActorType } from './define-actor.ts';
import { askNow, canRunNow, expire, follow, offer } from './delivery.ts';
import { Failures } from './failures.ts';
import { dead, moving, starting } from './flags.ts';
import { HostedType } from './hosted-type.ts';
import { checkActorKey } from './ids.ts';
import { Mailbox } from './mailbox.ts';
import { argumentsOf } from './messages.ts';
import { Persistence } from './persistence.ts';
import { ACT, type AnyRef, type BaseRef, type CallOptions, isRef, KEY, type Ref, TYPE } from './refs.ts';
import { Reminders } from './reminders.ts';
import { Residents } from './residents.ts';
import type { Router } from './router.ts';
import { Scheduler } from './scheduler.ts';
import { TimerWheel, type WheelEntry } from './timer-wheel.ts';
import { ActorTimer, fireTimer } from './timers.ts';
import { Topics } from './topics.ts';
import { exclusiveMode, hookMode } from './turn-modes.ts';
import { isThenable, runSlice } from './turns.ts';
import { Watches } from './watches.ts';
import { unitsOf } from './weight.ts';
import type { Cancel, Log, Millis, World } from './world.ts';

/** What the rest of the node hears from a host. Names are those of node.on(). */
export interface HostEvents {
  emit(name: string, payload: unknown): void;
}

/** Hands out fencing epochs: rising, never twice, also not after a crash of the process. */
export interface EpochSource {
  next(): number;
  /** The next one will be above every epoch handed out to any thread so far. */
  renew(): void;
}

export interface HostOptions {
  readonly node: string;
  /** 0 is the caller's own thread. */
  readonly thread: number;
  readonly world: World;
  readonly router: (host: Host) => Router;
  readonly epochs: EpochSource;
  readonly events: HostEvents;
  readonly types: readonly ActorType[];
  readonly partitions: number;
  readonly engine: Engine;
  readonly residentsMax?: number | undefined;
  readonly observer?: HostObserver;
}

/** What the test kit looks at and interferes with. Absent in production. */
export interface HostObserver {
  /** Replaces the arguments or result of a local message by what would have crossed a wire. */
  clone(value: unknown): unknown;
  effect(act: Activation, kind: string, detail: Record<string, unknown>): void;
  /** True when a probe has taken the message. */
  intercept(ref: BaseRef, call: Call | null, code: number, a0: unknown, a1: unknown): boolean;
  turnEnded(act: Activation): void;
}

/** Where a turn's continuation finds its way back to the turn: carried by the async context. */
export interface TurnToken {
  readonly host: Host;
  readonly act: Activation;
  readonly call: Call | null;
  readonly actor: Actor | null;
  /** How it goes together with other turns of its actor: turn-modes.ts. */
  readonly mode: number;
  /** False once the turn has ended: what still runs was not awaited, and nobody waits for it. */
  open: boolean;
}

export class Host {
  readonly node: string;
  readonly thread: number;
  readonly world: World;
  readonly events: HostEvents;
  readonly epochs: EpochSource;
  readonly router: Router;
  readonly partitions: number;
  readonly types: HostedType[] = [];
  readonly byName: Map<string, HostedType> = new Map();
  readonly scheduler: Scheduler;
  readonly failures: Failures;
  readonly watches: Watches;
  readonly topics: Topics;
  readonly reminders: Reminders;
  readonly persistence: Persistence;
  readonly residents: Residents;
  readonly observer: HostObserver | null;
  readonly engine: Engine;
  readonly codec: Codec;
  /** The turn running right now, synchronously. */
  current: Activation | null = null;
  call: Call | null = null;
  mode: number = exclusiveMode;
  /** The same turn as a token, made when something first needs one. */
  running: TurnToken | null = null;
  /** Turns in whose synchronous part another one runs right now: it woke an actor, or was re-entered. */
  readonly interrupted: TurnToken[] = [];
  /** True while tells need nothing but a mailbox: no gate, no trace, no observer. Checked on the hot path. */
  plain = true;
  private openCareful = 0;
  /** Coarse time for passivation, see residents.ts. */
  tick = 0;
  stopped = false;
  /** Actors that hold a mailbox. Those found empty when the event loop turns give it back: an idle actor holds none. */
  readonly boxes: Activation[] = [];
  outstanding = 0;
  deadLetters = 0;
  private readonly wheel: TimerWheel<WheelEntry>;
  private armedAt = Number.POSITIVE_INFINITY;
  private disarmTimer: Cancel | null = null;
  private childCount = 0;
  private readonly childrenByNumber = new Map<number, Activation>();
  private captureResolve: (value: any) => void = () => undefined;
  private captureReject: (error: unknown) => void = () => undefined;
  readonly capture = (resolve: (value: any) => void, reject: (error: unknown) => void): void => {
    this.captureResolve = resolve;
    this.captureReject = reject;
  };

  constructor(options: HostOptions) {
    this.node = options.node;
    this.thread = options.thread;
    this.world = { ...options.world, log: guarded(options.world.log) };
    this.events = {
      emit: (name, payload) => {
        try {
          options.events.emit(name, payload);
        } catch (error) {
          this.world.log.error({ err: error, event: name }, 'a listener threw');
        }
      },
    };
    this.epochs = options.epochs;
    this.partitions = options.partitions;
    this.observer = options.observer ?? null;
    this.engine = options.engine;
    this.codec = createCodec({
      isRef,
      encodeRef: ref => this.nameRef(ref as BaseRef),
      decodeRef: (type, key) => this.refByName(type, key),
    });
    this.plain = this.observer === null;
    this.wheel = new TimerWheel(this.now());
    this.scheduler = new Scheduler(
      options.world.clock,
      act => runSlice(this, act),
      run => this.outside(run),
    );
    this.scheduler.onTurn = () => this.releaseBoxes();
    this.failures = new Failures(this);
    this.watches = new Watches(this);
    this.topics = new Topics(this);
    this.persistence = new Persistence(this);
    this.reminders = new Reminders(this);
    this.residents = new Residents(this, options.residentsMax);
    for (const type of options.types) this.addType(type);
    this.router = options.router(this);
  }

  addType(source: ActorType): HostedType {
    const known = this.byName.get(source.type);
    if (known !== undefined) {
      if (known.source !== source)
        throw new TroupeError(
          'BAD_OPTION',
          `two actor types are called '${source.type}'; each needs a name of its own`,
        );
      return known;
    }
    const hosted = new HostedType(this, this.types.length, source);
    this.types.push(hosted);
    this.byName.set(source.type, hosted);
    return hosted;
  }

  now(): Millis {
    return this.world.clock.mono();
  }

  // Refs and activations.

  ref<A extends Actor>(type: ActorType<A>, key: string): Ref<A> {
    const hosted = this.byName.get(type.type);
    if (hosted === undefined || hosted.source.url !== type.url) throw this.noType(type.type);
    checkActorKey(key);
    return new hosted.stubs.Ref(key) as unknown as Ref<A>;
  }

  refByName(typeName: string, key: string): BaseRef {
    const hosted = this.byName.get(typeName);
    if (hosted === undefined) throw this.noType(typeName);
    return new hosted.stubs.Ref(key);
  }

  refTo(act: Activation): AnyRef {
    const ref = new act.hosted.stubs.Ref(act.key);
    ref[ACT] = act;
    if (typeof act.keyed !== 'string') this.childrenByNumber.set(act.keyed.number, act);
    return ref;
  }

  /** How a ref is written down. A spawned child is found again by its number, from now on. */
  private nameRef(ref: BaseRef): [type: string, key: string] {
    const act = ref[ACT];
    if (ref[KEY] === '' && act !== null) {
      if ((act.flags & dead) === 0 && typeof act.keyed !== 'string') this.childrenByNumber.set(act.keyed.number, act);
      return [ref[TYPE].name, act.key];
    }
    return [ref[TYPE].name, ref[KEY]];
  }

  childGone(number: number): void {
    this.childrenByNumber.delete(number);
  }

  private noType(name: string): TroupeError {
    const known = [...this.byName.keys()].join(', ') || 'none';
    return new TroupeError(
      'NO_ACTOR_TYPE',
      `no actor type '${name}' on ${this.node}/${this.thread}; registered are: ${known}. Pass it to startNode({ actors: [...] })`,
    );
  }

  /** The actor behind a ref, awake on this thread; null when it lives elsewhere. */
  find(ref: BaseRef): Activation | null {
    const known = ref[ACT];
    if (known !== null && (known.flags & dead) === 0) return (known.flags & moving) === 0 ? known : null;
    const hosted = ref[TYPE];
    const key = ref[KEY];
    if (key === '') throw this.endedChild(ref.toString());
    let act = hosted.live.get(key) ?? null;
    if (act === null) {
      if (key.charCodeAt(0) === 0) act = this.findChild(key);
      else if (this.router.owns(hosted, key)) act = this.activate(hosted, key);
    }
    ref[ACT] = act;
    return act !== null && (act.flags & moving) !== 0 ? null : act;
  }

  private findChild(key: string): Activation | null {
    const [thread, number] = key.slice(1).split('.');
    if (Number(thread) !== this.thread) return null;
    const act = this.childrenByNumber.get(Number(number));
    if (act === undefined || (act.flags & dead) !== 0) throw this.endedChild(key.slice(1));
    return act;
  }

  private endedChild(name: string): TroupeError {
    return new TroupeError('STOPPED', `the spawned actor ${name} has ended; it lived with its parent's activation`);
  }

  childKey(number: number): string {
    return `\u0000${this.thread}.${number}`;
  }

  activate(hosted: HostedType, key: string, epoch: number = this.epochs.next()): Activation {
    if (this.stopped) throw new TroupeError('STOPPED', `${hosted.name}/${key}: node ${this.node} is stopping`);
    const act = new Activation(hosted, key, epoch);
    hosted.live.set(key, act);
    this.residents.added(act);
    const failed = this.begin(act, undefined);
    if (failed !== undefined) throw failed;
    return act;
  }

  spawn(parent: Activation, type: ActorType, props: unknown): BaseRef {
    const hosted = this.byName.get(type.type);
    if (hosted === undefined) throw this.noType(type.type);
    const act = new Activation(hosted, new Birth(++this.childCount, parent, props), parent.epochNumber);
    const family = parent.more();
    family.children ??= [];
    act.place = family.children.push(act) - 1;
    hosted.children++;
    this.begin(act, props);
    this.observer?.effect(parent, 'spawn', { type: type.type });
    const ref = new hosted.stubs.Ref('');
    ref[ACT] = act;
    return ref;
  }

  /** Makes the user's object, gives it its state, and lets onActivate() run before any message. Answers with what ended it at once. */
  begin(act: Activation, props: unknown): TroupeError | undefined {
    const hosted = act.hosted;
    hosted.activated++;
    act.usedTick = this.tick;
    act.flags |= starting;
    try {
      const make = hosted.source.make;
      if (make === undefined)
        throw new TroupeError(
          'NO_ACTOR_TYPE',
          `actor type '${hosted.name}' is known by contract only; its class is not loaded in this process`,
        );
      const actor = constructWith(act, make);
      act.actor = actor;
      const stored = hosted.persists || typeof act.keyed === 'string' ? this.persistence.load(act, actor) : undefined;
      if (stored === undefined) actor.state = actor.initial(props);
      if (actor.onActivate !== plainActor.onActivate) {
        const ready = this.hook(act, actor, () => actor.onActivate());
        if (isThenable(ready)) {
          ready.then(
            () => this.begun(act, actor),
            error => this.failures.startFailed(act, actor, error),
          );
          return undefined;
        }
      }
      this.begun(act, actor);
    } catch (error) {
      return this.failures.startFailed(act, act.actor, error);
    }
    return undefined;
  }

  private begun(act: Activation, actor: Actor): void {
    if (act.actor !== actor || (act.flags & dead) !== 0) return;
    act.flags &= ~starting;
    if (act.box !== null || act.extras !== null) act.ready();
  }

  // Turns and their context.

  /** Calls a method with the turn carried along, so that what it awaits still knows whose turn it is. */
  inTurn(
    act: Activation,
    call: Call | null,
    fn: (...args: any[]) => unknown,
    actor: Actor,
    head: number,
    a0: unknown,
    a1: unknown,
  ): unknown {
    const token: TurnToken = { host: this, act, call, actor, mode: this.mode, open: true };
    this.running = token;
    switch (head & 3) {
      case 0:
        return this.world.context.run(token, () => fn.call(actor));
      case 1:
        return this.world.context.run(token, () => fn.call(actor, a0));
      case 2:
        return this.world.context.run(token, () => fn.call(actor, a0, a1));
      default:
        return this.world.context.run(token, () => fn.apply(actor, a0 as unknown[]));
    }
  }

  /** A turn that serves no message. */
  token(act: Activation, actor: Actor | null, mode: number): TurnToken {
    return { host: this, act, call: null, actor, mode, open: true };
  }

  /** Runs the synchronous part of such a turn, whosever turn it interrupts. */
  inContext(token: TurnToken, run: (actor: Actor) => unknown): unknown {
    const before = this.interrupt();
    this.current = token.act;
    this.mode = token.mode;
    this.running = token;
    try {
      return this.world.context.run(token, () => run(token.actor as Actor));
    } finally {
      this.resume(before);
    }
  }

  /** Sets aside the turn that runs right now, if any, for one that runs inside it; resume() takes it up again. */
  interrupt(): TurnToken | null {
    const token = this.current === null ? null : (this.turn() as TurnToken);
    if (token !== null) this.interrupted.push(token);
    this.running = null;
    this.call = null;
    return token;
  }

  resume(token: TurnToken | null): void {
    if (token !== null) this.interrupted.pop();
    this.current = token?.act ?? null;
    this.call = token?.call ?? null;
    this.mode = token?.mode ?? exclusiveMode;
    this.running = token;
  }

  /** onActivate() or onDeactivate(): a turn beside which nothing of the actor starts. What it throws, the caller handles. */
  hook(act: Activation, actor: Actor, run: (actor: Actor) => unknown): unknown {
    const token = this.token(act, actor, hookMode);
    if (act.hosted.persists) this.carefully(1);
    try {
      const result = this.inContext(token, run);
      if (act.hosted.persists) this.persistence.turnSuspended(act, true);
      if (isThenable(result)) return Promise.resolve(result).finally(() => this.hookEnded(token));
      this.hookEnded(token);
      return result;
    } catch (error) {
      this.hookEnded(token);
      throw error;
    }
  }

  private hookEnded(token: TurnToken): void {
    token.open = false;
    if (token.act.hosted.persists) this.carefully(-1);
  }

  /** Runs fn as nobody's turn: what comes from the event loop must not pass for the turn that happened to plan it. */
  outside(fn: () => void): void {
    const { context } = this.world;
    if (context.active() && context.get() !== undefined) context.run(nobody, fn);
    else fn();
  }

  /** Whose turn is running: synchronously, or as the continuation of an await. */
  turn(): TurnToken | undefined {
    const act = this.current;
    if (act !== null) {
      this.running ??= { host: this, act, call: this.call, actor: act.actor, mode: this.mode, open: true };
      return this.running;
    }
    const token = this.world.context.get() as TurnToken | undefined;
    return token !== undefined && token.host === this ? token : undefined;
  }

  // Sending.

  tell(ref: BaseRef, code: number, a0: unknown, a1: unknown): Promise<void> | undefined {
    if (!this.plain) {
      const turn = this.turn();
      if (turn !== undefined && isGhost(turn)) throw ghost(turn, 'tell');
      if (turn?.act.hosted.persists) {
        return this.persistence.gateTell(turn.act, () => this.tellNow(ref, code, a0, a1));
      }
    }
    return this.tellNow(ref, code, a0, a1);
  }

  private tellNow(ref: BaseRef, code: number, a0: unknown, a1: unknown): Promise<void> | undefined {
    const observer = this.observer;
    if (observer !== null) {
      a0 = observer.clone(a0);
      a1 = observer.clone(a1);
      const from = this.turn()?.act;
      if (from !== undefined)
        observer.effect(from, 'tell', {
          to: ref.toString(),
          method: ref[TYPE].methods[code >>> 2]?.name,
          args: argumentsOf(code, a0, a1),
        });
      if (observer.intercept(ref, null, code, a0, a1)) return undefined;
    }
    if (ref[ACT] === null && this.router.isFar(ref)) return this.router.tell(ref, code, a0, a1);
    let act: Activation | null;
    try {
      act = this.find(ref);
    } catch (error) {
      if (!(error instanceof TroupeError) || error.code !== 'STOPPED') throw error;
      this.deadLetter(ref.toString(), ref[TYPE].nameOf(code >>> 2), argumentsOf(code, a0, a1), error.message);
      return undefined;
    }
    if (act === null) return this.router.tell(ref, code, a0, a1);
    return act.accept(code, a0, a1);
  }

  /** A message nobody will run: never silently away. */
  deadLetter(to: string, method: string, args: readonly unknown[], why: string): void {
    this.deadLetters++;
    this.events.emit('dead-letter', { to, method, args, why });
  }

  /** A message that reached an actor on its way to sleep is sent again. */
  redeliver(act: Activation, message: Parked): boolean {
    if (this.stopped || typeof act.keyed !== 'string') return false;
    try {
      const ref = new act.hosted.stubs.Ref(act.keyed);
      const code = message.head & 1023;
      if (message.meta === null) void this.tellNow(ref, code, message.a0, message.a1);
      else this.dispatch(ref, message.meta, code, message.a0, message.a1);
      return true;
    } catch {
      return false;
    }
  }

  ask(ref: BaseRef, code: number, a0: unknown, a1: unknown, options: CallOptions | null): Promise<unknown> {
    if (options === null && this.current === null && this.scheduler.idle) {
      const act = ref[ACT];
      // Nobody is before us in any queue, so the turn may as well run at once: no mailbox, no scheduling, no deadline.
      if (act !== null && canRunNow(act, code) && !this.inContinuation() && this.scheduler.spend())
        return askNow(this, ref, act, code, a0, a1);
    }
    const promise = new Promise(this.capture);
    const call = new Call(this.captureResolve, this.captureReject, false);
    call.method = code;
    call.to = ref;
    const deadlineMs = options?.deadlineMs ?? askDeadlineMsDefault;
    if (!(deadlineMs >= 0)) {
      call.reject(new TroupeError('BAD_OPTION', `deadlineMs must be 0 or more, not ${String(deadlineMs)}`));
      return promise;
    }
    const turn = this.current !== null || this.inContinuation() ? this.turn() : undefined;
    if (turn !== undefined) {
      if (isGhost(turn)) {
        call.reject(ghost(turn, 'ask'));
        return promise;
      }
      linkWaiting(turn.act, call);
      call.turn = turn;
      call.parent = turn.call;
      call.depth = turn.call === null ? 1 : 1 + (turn.call.chain?.length ?? turn.call.depth);
    }
    if (++this.outstanding > asksPerThreadMax) {
      this.fail(
        call,
        new TroupeError(
          'OVERLOADED',
          `${this.outstanding} asks are outstanding on ${this.node}/${this.thread}, the most a thread may have`,
          { details: { outstanding: this.outstanding } },
        ),
      );
      return promise;
    }
    if (deadlineMs !== Number.POSITIVE_INFINITY) this.arm(call, this.now() + deadlineMs);
    if (options !== null) {
      if (options.signal !== undefined) follow(this, call, ref, options.signal);
      if (options.opId !== undefined) call.extra = { ...call.extra, opId: options.opId };
      if (call.state === ended) return promise;
    }
    if (turn?.act.hosted.persists)
      this.persistence.gateAsk(turn.act, call, () => this.dispatch(ref, call, code, a0, a1));
    else this.dispatch(ref, call, code, a0, a1);
    return promise;
  }

  /** A call of the promise just made with `capture`, with the default deadline running. */
  newCall(ref: BaseRef, code: number): Call {
    const call = new Call(this.captureResolve, this.captureReject, false);
    call.method = code;
    call.to = ref;
    this.outstanding++;
    this.arm(call, this.now() + askDeadlineMsDefault);
    return call;
  }

  /** Does this run as the continuation of an actor's await? */
  private inContinuation(): boolean {
    const { context } = this.world;
    return context.active() && context.get() !== undefined;
  }

  /** A persisted actor's turn begins or ends: while one runs or is open, tells may have to wait at its gate. */
  carefully(opened: number): void {
    this.openCareful += opened;
    this.plain = this.observer === null && this.openCareful === 0;
  }

  /** Sends a call on to wherever its actor is now. */
  redispatch(ref: BaseRef, call: Call, code: number, a0: unknown, a1: unknown): void {
    this.dispatch(ref, call, code, a0, a1);
  }

  private dispatch(ref: BaseRef, call: Call, code: number, a0: unknown, a1: unknown): void {
    if (call.state === ended) return;
    try {
      const observer = this.observer;
      if (observer !== null) {
        a0 = observer.clone(a0);
        a1 = observer.clone(a1);
        if (call.from !== null)
          observer.effect(call.from, 'ask', {
            to: ref.toString(),
            method: ref[TYPE].methods[code >>> 2]?.name,
            args: argumentsOf(code, a0, a1),
          });
        if (observer.intercept(ref, call, code, a0, a1)) return;
      }
      const act = ref[ACT] === null && this.router.isFar(ref) ? null : this.find(ref);
      if (act === null) this.router.ask(ref, call, code, a0, a1);
      else offer(this, act, call, code | (unitsOf(code, a0, a1) << 10), a0, a1);
    } catch (error) {
      this.fail(call, error);
    }
  }

  // Outcomes.

  answer(call: Call, value: unknown): void {
    if (call.state === ended) return;
    if (this.observer !== null) {
      try {
        value = this.observer.clone(value);
      } catch (error) {
        this.fail(call, error);
        return;
      }
    }
    call.state = ended;
    this.wheel.cancel(call);
    if (call.arrived) {
      this.router.answer(call, value);
      return;
    }
    this.outstanding--;
    unlinkWaiting(call);
    if (call.extra !== null) call.extra.detach?.();
    call.resolve(value);
    this.settledFor(call);
  }

  fail(call: Call, error: unknown): void {
    if (call.state === ended) return;
    call.state = ended;
    this.wheel.cancel(call);
    if (call.arrived) {
      this.router.refuse(call, error);
      return;
    }
    this.outstanding--;
    if (call.peer >= 0) this.router.forget(call);
    unlinkWaiting(call);
    if (call.extra !== null) call.extra.detach?.();
    call.reject(error);
    this.settledFor(call);
  }

  private settledFor(call: Call): void {
    const from = call.from;
    if (from !== null && from.waits === null && from.extras?.onQuiet != null) this.checkQuiet(from);
  }

  /** A move waits for this: no turn open, nothing awaited. */
  checkQuiet(act: Activation): void {
    const extras = act.extras;
    if (extras?.onQuiet == null || !this.isQuiet(act)) return;
    const quiet = extras.onQuiet;
    extras.onQuiet = null;
    quiet();
  }

  /** No turn open, nothing awaited, no control work left. */
  isQuiet(act: Activation): boolean {
    return act.hosted.idle(act) && act.waits === null && (act.extras?.control.length ?? 0) === 0;
  }

  // The wheel: deadlines, actor timers.

  arm(entry: WheelEntry, at: Millis): void {
    this.wheel.add(entry, at);
    if (at < this.armedAt) this.rearm(at);
  }

  disarm(entry: WheelEntry): void {
    this.wheel.cancel(entry);
  }

  private rearm(at: Millis): void {
    this.disarmTimer?.();
    this.armedAt = at;
    this.disarmTimer =
      at === Number.POSITIVE_INFINITY ? null : this.world.clock.timer(Math.max(0, at - this.now()), this.onTimer);
  }

  private readonly onTimer = (): void => {
    this.outside(this.fireDue);
  };

  private readonly fireDue = (): void => {
    this.armedAt = Number.POSITIVE_INFINITY;
    this.disarmTimer = null;
    const now = this.now();
    this.wheel.advance(now, entry => {
      if (entry instanceof Call) expire(this, entry);
      else if (entry instanceof ActorTimer) fireTimer(entry, now);
      else (entry as HostTimer).fire(now);
    });
    const next = this.wheel.nextAt();
    if (next < this.armedAt) this.rearm(next);
  };

  /** Calls made on this thread that an actor here has not answered. */
  callsTo(act: Activation): Call[] {
    const found: Call[] = [];
    for (const entry of this.wheel.entries()) if (entry instanceof Call && entry.act === act) found.push(entry);
    return found;
  }

  /** A call from another thread that has not ended. Looks at every deadline: for the rare verdict only. */
  arrivedCall(peer: number, id: number): Call | undefined {
    for (const entry of this.wheel.entries()) {
      if (entry instanceof Call && entry.arrived && entry.peer === peer && entry.id === id) return entry;
    }
    return undefined;
  }

  describe(): object {
    return {
      thread: this.thread,
      queued: this.scheduler.length,
      slices: this.scheduler.slices,
      asksOutstanding: this.outstanding,
      deadLetters: this.deadLetters,
      timers: this.wheel.count,
      reminders: this.reminders.count,
      sleeping: this.persistence.sleeping,
      residents: this.residents.describe(),
      types: this.types.map(hosted => hosted.describe()),
      storage: this.engine.stats(),
    };
  }

  private releaseBoxes(): void {
    const boxes = this.boxes;
    let kept = 0;
    for (let i = 0; i < boxes.length; i++) {
      const act = boxes[i] as Activation;
      const box = act.box;
      if (box === null) continue;
      if (box.count === 0) {
        act.box = null;
        Mailbox.give(box);
      } else boxes[kept++] = act;
    }
    boxes.length = kept;
  }

  /** Lets every actor end in good order, then refuses everything. */
  async stop(): Promise<void> {
    if (this.stopped) return;
    await this.failures.retireAll('shutdown');
    this.stopped = true;
    this.disarmTimer?.();
    this.disarmTimer = null;
  }

  logOf(act: Activation): Log {
    const log = this.world.log;
    const fields = { actor: act.id, epoch: act.epochNumber };
    return {
      trace: (more, message) => log.trace({ ...fields, ...more }, message),
      debug: (more, message) => log.debug({ ...fields, ...more }, message),
      info: (more, message) => log.info({ ...fields, ...more }, message),
      warn: (more, message) => log.warn({ ...fields, ...more }, message),
      error: (more, message) => log.error({ ...fields, ...more }, message),
    };
  }
}

/** A timer of the runtime itself. */
export interface HostTimer extends WheelEntry {
  fire(now: Millis): void;
}

/** A logger of the user's may throw, on what it is asked to print or because its disk is full: nobody's turn fails for it. */
function guarded(log: Log): Log {
  const guard =
    (level: keyof Log) =>
    (fields: object, message?: string): void => {
      try {
        log[level](fields, message);
      } catch {
        // There is nobody left to tell.
      }
    };
  return {
    trace: guard('trace'),
    debug: guard('debug'),
    info: guard('info'),
    warn: guard('warn'),
    error: guard('error'),
  };
}

/** The token of no turn. */
const nobody: object = Object.freeze({ host: null });

/** The turn's activation has ended, or has been restarted: what still runs belongs to the past and causes nothing. */
function isGhost(turn: TurnToken): boolean {
  return (turn.act.flags & dead) !== 0 || turn.actor !== turn.act.actor;
}

function ghost(turn: TurnToken, what: string): TroupeError {
  return new TroupeError(
    'STOPPED',
    `${turn.act.id} has ended or was restarted since this turn began; its ${what} was not sent`,
  );
}

const plainActor: Pick<Actor, 'onActivate'> = Actor.prototype;
