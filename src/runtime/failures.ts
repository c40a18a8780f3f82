// What happens when a handler throws, and how an activation ends: supervision and the one place where actors die.
//
// Intuition: an error is first of all the asker's answer. What becomes of the actor is its `supervise` option: go on with
// its state (resume), start anew from what is stored (restart, bounded by intensity), end (stop), or make it the parent's
// failure (escalate). A poison message costs one turn, never the process.

import { describeThrown, isTroupeError, type TroupeCode, TroupeError } from '../errors.ts';
import type { Activation } from './activation.ts';
import { Actor, type DeactivateReason, type Departure } from './actor.ts';
import { type Call, ended, started } from './call.ts';
import type { Parked } from './extras.ts';
import { backoff, busy, dead, exclusive, failed, frozen, starting, stashing, stopping } from './flags.ts';
import type { Host } from './host.ts';
import type { HostTimer } from './host-types.ts';
import { Mailbox } from './mailbox.ts';
import { argumentsOf } from './messages.ts';
import { run } from './moves.ts';
import { RestartGuard } from './supervision.ts';
import type { WheelEntry } from './timer-wheel.ts';
import { cancelAllTimers } from './timers.ts';
import { isThenable } from './turns.ts';

/** Codes that speak of one message's fate. Rethrown by a handler they would lie about the outer message: they become REMOTE. */
const ofOneMessage: ReadonlySet<TroupeCode> = new Set([
  'OVERLOADED',
  'DEADLINE',
  'UNKNOWN_OUTCOME',
  'STOPPED',
  'FENCED',
  'NO_METHOD',
  'NO_ACTOR_TYPE',
  'REMOTE',
  'BAD_MESSAGE',
]);

export class Failures {
  private readonly host: Host;

  constructor(host: Host) {
    this.host = host;
  }

  /** The error as the asker sees it. */
  asRemote(act: Activation, error: unknown): TroupeError {
    const ours = isTroupeError(error) ? error : undefined;
    if (ours !== undefined && !ofOneMessage.has(ours.code)) return ours;
    const thrown = describeThrown(error);
    return new TroupeError('REMOTE', thrown.message, {
      cause: error,
      details: { ...thrown, actor: act.id },
      outcome: ours?.outcome ?? 'failed',
    });
  }

  turnFailed(act: Activation, message: Parked | null, call: Call | null, error: unknown): void {
    const host = this.host;
    act.flags &= ~stashing;
    act.hosted.failed++;
    if (message !== null && !act.hosted.has((message.head >>> 2) & 255)) {
      // Nothing of the actor has run, so nothing of it has failed.
      if (call !== null) host.fail(call, error);
      return;
    }
    const remote = this.asRemote(act, error);
    const opId = call?.extra?.opId;
    // Its asker has given up before, and host.fail() has nothing left to do.
    if (call?.state === ended && opId !== undefined) host.onceFailed(call, opId, remote);
    if (!act.hosted.persists || (act.flags & dead) !== 0) {
      if (call !== null) host.fail(call, remote);
    } else if (act.hosted.spec.supervise.onError === 'resume') host.persistence.turnFailed(act, call, remote);
    else {
      host.persistence.turnUndone(act, remote);
      if (call !== null) host.fail(call, remote);
    }
    this.supervise(act, error);
  }

  private supervise(act: Activation, error: unknown): void {
    if ((act.flags & dead) !== 0) return;
    const more = act.more();
    more.guard ??= new RestartGuard(act.hosted.spec.supervise);
    const verdict = more.guard.onFailure(this.host.now(), this.host.world.random.float());
    this.host.events.emit('actor-failed', { id: act.id, epoch: act.epochNumber, error, action: verdict.action });
    act.log.warn({ err: error, action: verdict.action }, 'a turn failed');
    switch (verdict.action) {
      case 'resume':
        if ((act.flags & stopping) !== 0) this.stopAfterTurn(act);
        return;
      case 'restart':
        // What was told to stop does not come back; and a failed turn has left nothing that an orderly end should store.
        if ((act.flags & stopping) !== 0) this.end(act, 'failed');
        else this.restart(act, verdict.waitMs);
        return;
      case 'escalate':
        if (act.parent !== null && (act.parent.flags & dead) === 0) {
          const { parent } = act;
          this.end(act, 'failed');
          this.supervise(parent, error);
          return;
        }
        this.end(act, 'failed');
        return;
      case 'stop':
        this.end(act, 'failed');
    }
  }

  /** A new object, the state from storage (or initial()), a fresh epoch, the same mailbox. */
  private restart(act: Activation, waitMs: number): void {
    const host = this.host;
    this.dropVolatile(act);
    act.actor = null;
    act.flags = (act.flags | backoff) & ~stopping;
    if (act.extras !== null) {
      act.extras.front = [...act.extras.stash, ...act.extras.front];
      act.extras.stash = [];
      act.extras.overlapping = 0;
      act.extras.reading = 0;
    }
    const again = (): void => {
      if ((act.flags & dead) !== 0) return;
      act.hosted.settle(act);
      act.epochNumber = host.epochs.next();
      act.flags &= ~backoff;
      host.persistence.forget(act);
      host.begin(act, act.props);
    };
    if (waitMs <= 0) host.world.clock.micro(again);
    else host.arm(new Wake(again), host.now() + waitMs);
  }

  /** Loading or onActivate() failed: the messages that woke the actor learn why. */
  startFailed(act: Activation, actor: Actor | null, error: unknown, inLoading = false): TroupeError | undefined {
    if ((act.flags & dead) !== 0 || act.actor !== actor) return undefined;
    act.hosted.failed++;
    const more = act.more();
    more.guard ??= new RestartGuard(act.hosted.spec.supervise);
    // What the runtime has found in the store is told as it is: FENCED, CORRUPT. What user code throws is REMOTE.
    const cause = inLoading && isTroupeError(error) ? error : this.asRemote(act, error);
    this.host.events.emit('actor-failed', { id: act.id, epoch: act.epochNumber, error, action: 'stop' });
    act.log.error({ err: error }, 'activation failed');
    this.end(act, 'failed', cause);
    return cause;
  }

  /** stop() was called in this turn. */
  stopAfterTurn(act: Activation): void {
    this.retire(act, 'stopped', () => undefined);
  }

  /** Ends in good order: onDeactivate first, then what must be stored, then the end. `done` hears how it went. */
  retire(act: Activation, why: DeactivateReason, done: (error?: unknown) => void): void {
    const host = this.host;
    const actor = act.actor;
    if ((act.flags & dead) !== 0 || actor === null) {
      // Between two lives: nothing of it is awake that could end in good order.
      this.end(act, why);
      done();
      return;
    }
    act.flags = (act.flags | frozen) & ~stopping;
    const finish = (): void => this.retireChildren(act, why === 'shutdown' ? 'shutdown' : 'stopped', store);
    const store = (): void => {
      if ((act.flags & dead) !== 0) {
        done();
        return;
      }
      const stored = this.sleep(act, actor, why);
      if (stored === undefined) {
        this.end(act, why);
        done();
        return;
      }
      stored.then(
        () => {
          this.end(act, why);
          done();
        },
        error => {
          // The state could not be stored: stay awake rather than lose it, unless the end is not ours to refuse.
          if (why === 'idle' || why === 'evicted') this.reawake(act, actor);
          else this.end(act, why);
          done(error);
        },
      );
    };
    if (actor.onDeactivate === Actor.prototype.onDeactivate) {
      finish();
      return;
    }
    try {
      const result = host.hook(act, actor, () => actor.onDeactivate(why));
      if (isThenable(result)) {
        result.then(finish, error => {
          act.log.warn({ err: error }, 'onDeactivate failed');
          finish();
        });
        return;
      }
    } catch (error) {
      act.log.warn({ err: error }, 'onDeactivate failed');
    }
    finish();
  }

  private sleep(act: Activation, actor: Actor, why: DeactivateReason): Promise<void> | undefined {
    try {
      return this.host.persistence.sleep(act, actor, why);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** It could not go to sleep after all. To an actor that has said goodbye already this is a new life with the same state. */
  private reawake(act: Activation, actor: Actor): void {
    if ((act.flags & dead) !== 0) return;
    if (actor.onDeactivate !== Actor.prototype.onDeactivate) {
      run(this.host, act);
      return;
    }
    act.flags &= ~frozen;
    act.ready();
  }

  /** The children of an actor that ends in good order end so too, if they are at rest; then() once they have. */
  private retireChildren(act: Activation, why: DeactivateReason, then: () => void): void {
    const children = act.extras?.children ?? null;
    if (children === null || children.length === 0) {
      then();
      return;
    }
    let left = children.length;
    for (const child of [...children]) {
      if (!this.host.isQuiet(child) || (child.flags & starting) !== 0) this.end(child, why);
      this.retire(child, why, () => {
        if (--left === 0) then();
      });
    }
  }

  /** The end of an activation. After this nothing it does has effect. */
  end(act: Activation, why: DeactivateReason | 'crashed', error?: TroupeError): void {
    if ((act.flags & dead) !== 0) return;
    const host = this.host;
    this.dropVolatile(act);
    act.flags |= why === 'failed' ? dead | failed : dead;
    act.hosted.gone(act);
    if (typeof act.keyed === 'string') host.residents.removed(act);
    host.persistence.forget(act);
    const goesOn = why === 'idle' || why === 'evicted' || why === 'moved';
    if (act.box !== null || act.extras !== null) {
      const stopped =
        error ??
        new TroupeError('STOPPED', `${act.id} has ended (${why}); the message was not run`, { details: { why } });
      this.refuseAll(act, stopped, goesOn);
    }
    act.actor = null;
    leaveFamily(act);
    if (!goesOn && host.hasName(act)) host.topics.drop(act.id);
    if (!goesOn && why !== 'crashed') host.watches.ended(act, why as Departure['reason']);
    host.router.ended(act);
  }

  /** Messages left behind: asks fail, tells become dead letters; a sleeper's late arrivals are sent again. */
  private refuseAll(act: Activation, error: TroupeError, again: boolean): void {
    const host = this.host;
    const left: Parked[] = [];
    if (act.extras !== null) {
      left.push(...act.extras.stash, ...act.extras.front);
      act.extras.stash = [];
      act.extras.front = [];
      act.extras.control = [];
    }
    const box = act.box;
    if (box !== null) {
      act.leaveBox();
      box.drainTo((head, a0, a1, meta) => left.push({ head, a0, a1, meta: meta as Call | null }));
      Mailbox.give(box);
    }
    const waiters = act.extras?.waiters.splice(0) ?? [];
    for (const { message, admit } of waiters) {
      left.push(message);
      admit();
    }
    // Retries that have joined one that waits here go where it goes.
    const retriesOf = ({ meta }: Parked): readonly Call[] =>
      meta?.extra?.opId === undefined ? [] : (act.extras?.answered?.drop(meta.extra.opId) ?? []);
    const all = left.flatMap(message => [message, ...retriesOf(message).map(meta => ({ ...message, meta }))]);
    for (const message of all) {
      const call = message.meta;
      if (call !== null && call.state === ended) continue;
      if (again && host.redeliver(act, message)) continue;
      if (call !== null) host.fail(call, error);
      else
        host.deadLetter(
          act.id,
          act.hosted.methods[(message.head >>> 2) & 255]?.name ?? '?',
          argumentsOf(message.head, message.a0, message.a1),
          error.message,
        );
    }
  }

  /** What lives with the activation: timers, children, the signal, its watches. */
  private dropVolatile(act: Activation): void {
    cancelAllTimers(act);
    const extras = act.extras;
    if (extras === null) return;
    const { children } = extras;
    extras.children = null;
    for (const child of children ?? []) this.end(child, 'stopped');
    extras.abort?.abort(new TroupeError('STOPPED', `${act.id} has ended`));
    extras.abort = null;
    this.host.watches.dropWatcher(act);
  }

  /** The actor's memory is gone, as when its thread dies: what ran or waited has no known outcome, nothing is stored. */
  crash(act: Activation): void {
    const unknown = new TroupeError('UNKNOWN_OUTCOME', `${act.id} was lost with its thread; the message may have run`);
    this.host.watches.ended(act, 'thread-lost');
    for (const call of this.host.callsTo(act)) this.host.fail(call, unknown);
    act.extras?.gate?.abandon();
    this.end(act, 'crashed', unknown);
  }

  /** This host stops: whoever still waits for an answer is told what is known of it. */
  forsake(calls: readonly Call[]): void {
    for (const call of calls) {
      const to = call.to?.toString() ?? call.act?.id ?? 'the actor';
      const sent = call.state === started || (call.peer >= 0 && !call.arrived);
      this.host.fail(
        call,
        sent
          ? new TroupeError('UNKNOWN_OUTCOME', `the node stopped before ${to} had answered; the message may have run`)
          : new TroupeError('STOPPED', `the node stopped before the turn of ${to} began; the message was not run`),
      );
    }
  }

  /** Puts every actor of this host to rest, in good order, for as long as the node's drain allows. */
  async retireAll(why: DeactivateReason): Promise<void> {
    const all = this.host.types.flatMap(hosted => [...hosted.live.values()]);
    await Promise.all(
      all.map(act => new Promise<void>(resolve => this.whenIdle(act, () => this.retire(act, why, () => resolve())))),
    );
  }

  /** At rest, and with nothing left of what was accepted. */
  private whenIdle(act: Activation, then: () => void): void {
    const left = (act.box?.count ?? 0) + (act.extras?.front.length ?? 0) + (act.extras?.control.length ?? 0);
    if (left === 0 && (act.flags & (busy | exclusive | starting)) === 0 && act.hosted.idle(act)) then();
    else act.more().onQuiet = () => this.whenIdle(act, then);
  }
}

/** Takes a child out of its parent's children; the last of them takes its place. */
function leaveFamily(act: Activation): void {
  const family = act.parent?.extras?.children;
  if (family == null || family[act.place] !== act) return;
  const last = family.pop() as Activation;
  if (last === act) return;
  family[act.place] = last;
  last.place = act.place;
}

/** A one-shot timer of the runtime. */
export class Wake implements HostTimer {
  at = 0;
  wheelPrev: WheelEntry | null = null;
  wheelNext: WheelEntry | null = null;
  wheelSlot = -1;
  readonly fire: (now: number) => void;
  readonly quiet: boolean;

  constructor(fire: (now: number) => void, quiet = false) {
    this.fire = fire;
    this.quiet = quiet;
  }
}
