// The runtime of one thread: types, actors awake here, the scheduler, deadlines, and the two verbs `tell` and `ask`. The
// same class runs on the caller's own thread, on worker threads, in the test kit and in the simulator; what differs is the
// World it is given and the router that knows where actors live.
// Below it: alarms.ts, turn-keeper.ts, registry.ts.

import { TroupeError } from '../errors.ts';
import { askDeadlineMsDefault, asksPerThreadMax } from '../limits.ts';
import type { Engine } from '../storage/engine.ts';
import type { Activation } from './activation.ts';
import { Call, type CallExtra, ended, linkWaiting, unlinkWaiting, waiting } from './call.ts';
import { type Codec, createCodec } from './codec.ts';
import { unanswerable } from './codec-refusal.ts';
import type { ActorType } from './define-actor.ts';
import { askNow, canRunNow, expire, follow, offer, refuseOptions, takeSurely } from './delivery.ts';
import type { Parked } from './extras.ts';
import { Failures } from './failures.ts';
import type { EpochSource, HostEvents, HostObserver, HostOptions } from './host-types.ts';
import { HostedType } from './hosted-type.ts';
import { Mailbox } from './mailbox.ts';
import { argumentsOf } from './messages.ts';
import { Persistence } from './persistence.ts';
import { ACT, type BaseRef, type CallOptions, isRef, TYPE } from './refs.ts';
import { Registry } from './registry.ts';
import { Reminders } from './reminders.ts';
import type { LeaseGuard } from './replicas/lease-guard.ts';
import { Residents } from './residents.ts';
import type { Router } from './router.ts';
import { Scheduler } from './scheduler.ts';
import { slicer } from './slice.ts';
import { Topics } from './topics.ts';
import { ghost, isGhost } from './turn-keeper.ts';
import { Watches } from './watches.ts';
import { unitsOf } from './weight.ts';
import { guarded } from './world.ts';

export class Host extends Registry {
  readonly node: string;
  readonly thread: number;
  readonly events: HostEvents;
  readonly epochs: EpochSource;
  readonly router: Router;
  readonly partitions: number;
  readonly scheduler: Scheduler;
  readonly failures: Failures;
  readonly watches: Watches;
  readonly topics: Topics;
  readonly reminders: Reminders;
  readonly persistence: Persistence;
  readonly residents: Residents;
  readonly observer: HostObserver | null;
  /** Of a node whose partitions are kept by others, too. */
  lease: LeaseGuard | null = null;
  readonly engine: Engine;
  readonly codec: Codec;
  /** Actors that hold a mailbox. Those found empty when the event loop turns give it back: an idle actor holds none. */
  readonly boxes: Activation[] = [];
  outstanding = 0;
  /** Asks that ended before their turn: their messages lie in mailboxes until somebody needs the room. */
  lapsed = 0;
  deadLetters = 0;
  private captureResolve: (value: any) => void = () => undefined;
  private captureReject: (error: unknown) => void = () => undefined;
  readonly capture = (resolve: (value: any) => void, reject: (error: unknown) => void): void => {
    this.captureResolve = resolve;
    this.captureReject = reject;
  };

  constructor(options: HostOptions) {
    super({ ...options.world, log: guarded(options.world.log) });
    this.node = options.node;
    this.thread = options.thread;
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
    this.scheduler = new Scheduler(options.world.clock, slicer(this, options.leased === true), run =>
      this.outside(run),
    );
    this.scheduler.onRest = () => this.leaveTurn();
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

  protected get self(): Host {
    return this;
  }

  protected expired(call: Call): void {
    expire(this, call);
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

  tell(ref: BaseRef, code: number, a0: unknown, a1: unknown): Promise<void> | undefined {
    if (!this.plain) {
      const turn = this.turn();
      if (turn === undefined && this.closing) throw this.refusal('tell');
      if (turn !== undefined && isGhost(turn)) throw ghost(turn, 'tell');
      if (turn?.act.hosted.persists) {
        return this.persistence.gateTell(turn.act, ref, code, a0, a1);
      }
      return this.send(ref, code, a0, a1, turn?.act ?? null);
    }
    return this.send(ref, code, a0, a1, null);
  }

  /** A tell that nothing holds back any more. `from` is for those who look on. */
  send(ref: BaseRef, code: number, a0: unknown, a1: unknown, from: Activation | null): Promise<void> | undefined {
    const observer = this.observer;
    if (observer !== null) {
      a0 = observer.clone(a0);
      a1 = observer.clone(a1);
      if (from !== null)
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
      // Only what the sender may try again is his trouble; that its actor has ended, or cannot be woken, is the actor's.
      if (!(error instanceof TroupeError) || error.code === 'OVERLOADED') throw error;
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
      if (this.router.goesBack(ref, { code, a0: message.a0, a1: message.a1, call: message.meta })) return true;
      const next = message.meta === null && this.observer === null ? this.find(ref) : null;
      if (next !== null) takeSurely(this, next, message);
      else if (message.meta === null) void this.send(ref, code, message.a0, message.a1, null);
      else this.dispatch(ref, message.meta, code, message.a0, message.a1);
      return true;
    } catch {
      return false;
    }
  }

  ask(ref: BaseRef, code: number, a0: unknown, a1: unknown, options: CallOptions | null): Promise<unknown> {
    const reported = this.world.asks?.hasSubscribers === true;
    if (options === null && this.current === null && this.scheduler.idle && !reported && this.lease === null) {
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
    if (options !== null) {
      const refusal = refuseOptions(ref, options, deadlineMs);
      if (refusal !== undefined) {
        call.reject(refusal);
        return promise;
      }
    }
    if (reported || this.tracing) call.extra = { trace: this.traceNow(), madeAt: reported ? this.now() : undefined };
    const turn = this.current !== null || this.inContinuation() ? this.turn() : undefined;
    if (turn === undefined) {
      if (this.closing) {
        call.reject(this.refusal('ask'));
        return promise;
      }
    } else {
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
    this.expect(call, deadlineMs);
    if (options !== null) {
      if (options.signal !== undefined) follow(this, call, options.signal);
      if (options.opId !== undefined) call.extra = { ...call.extra, opId: options.opId };
      if (call.state === ended) return promise;
    }
    if (turn?.act.hosted.persists) this.persistence.gateAsk(turn.act, call, ref, code, a0, a1);
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

  answer(call: Call, value: unknown): void {
    if (call.extra?.opId !== undefined) this.onceAnswered(call, call.extra.opId, value);
    if (call.state === ended) return;
    if (this.observer !== null) {
      try {
        value = this.observer.clone(value);
      } catch (error) {
        this.fail(call, unanswerable(error));
        return;
      }
    }
    call.state = ended;
    this.settled(call);
    if (call.arrived) {
      this.router.answer(call, value);
      return;
    }
    this.outstanding--;
    unlinkWaiting(call);
    if (call.extra !== null) this.closeExtra(call, call.extra, 'ok');
    call.resolve(value);
    this.settledFor(call);
  }

  fail(call: Call, error: unknown): void {
    if (call.state === ended) return;
    // A call that ends unknown may still be answered by its turn: then a retry finds that answer.
    if (call.extra?.opId !== undefined && (error as TroupeError).outcome !== 'unknown')
      this.onceFailed(call, call.extra.opId, error);
    if (call.state === waiting) this.lapsed++;
    call.state = ended;
    this.settled(call);
    if (call.arrived) {
      this.router.refuse(call, error);
      return;
    }
    this.outstanding--;
    if (call.peer >= 0) this.router.forget(call);
    unlinkWaiting(call);
    if (call.extra !== null) this.closeExtra(call, call.extra, (error as TroupeError).code ?? 'REMOTE');
    call.reject(error);
    this.settledFor(call);
  }

  /** An operation with an opId has its answer: kept, and given to the retries that joined it. */
  onceAnswered(call: Call, opId: string, value: unknown): void {
    for (const joined of call.act?.extras?.answered?.finish(opId, value) ?? []) this.answer(joined, value);
  }

  /** It has failed: it may be tried again, and the retries that joined it fail with it. */
  onceFailed(call: Call, opId: string, error: unknown): void {
    for (const joined of call.act?.extras?.answered?.drop(opId) ?? []) this.fail(joined, error);
  }

  private closeExtra(call: Call, extra: CallExtra, outcome: string): void {
    extra.detach?.();
    if (extra.madeAt === undefined || call.to === null) return;
    const method = call.to[TYPE].nameOf((call.method >>> 2) & 255);
    const ms = this.now() - extra.madeAt;
    this.world.asks?.publish({ to: call.to.toString(), method, ms, outcome, traceparent: extra.trace });
  }

  private settledFor(call: Call): void {
    const from = call.from;
    if (from !== null && from.waits === null && from.extras?.onQuiet != null) this.checkQuiet(from);
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
      remindersDamaged: this.reminders.damaged,
      sleeping: this.persistence.sleepers.count,
      residents: this.residents.describe(),
      types: this.types.map(hosted => hosted.describe()),
      storage: { ...this.engine.stats(), ...this.engine.describe?.() },
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
        act.leaveBox();
        Mailbox.give(box);
      } else boxes[kept++] = act;
    }
    boxes.length = kept;
  }

  /** Lets every actor end in good order, then ends whatever is still open. */
  async stop(): Promise<void> {
    if (this.closing) return;
    await this.drain(Number.POSITIVE_INFINITY);
    this.halt();
  }
}
