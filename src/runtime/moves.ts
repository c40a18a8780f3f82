// Freezing, packing and installing one actor: the part of a move that touches the actor itself. The protocol around it is
// in relocation-*.ts; the test kit uses the same three steps to move an actor "elsewhere" within one host.
//
//   freeze   no user message starts; what runs and what it awaits ends; timers stop with their remaining time
//   pack     state, messages, stash, timers, topics, who watches: plain data, encoded by the caller
//   install  a new activation, not running yet; run() lets it start: shipped messages first
//   thaw     the move is off: the frozen activation goes on under a fresh epoch
//
// Invariant: between freeze and (thaw or retire) the actor causes nothing. What cannot travel (a closure in a timer, live
// children) refuses the move with the reason; it is never dropped.

import { TroupeError } from '../errors.ts';
import { relocateOverMax } from '../limits.ts';
import { Activation } from './activation.ts';
import { Actor, constructWith } from './actor.ts';
import { Answered } from './answered.ts';
import { type Call, ended } from './call.ts';
import type { Extras, Parked } from './extras.ts';
import { dead, freezing, frozen, starting } from './flags.ts';
import type { Host } from './host.ts';
import type { HostedType } from './hosted-type.ts';
import { Mailbox } from './mailbox.ts';
import { argumentsOf } from './messages.ts';
import { ActorTimer } from './timers.ts';
import { isThenable } from './turns.ts';
import { weigh } from './weight.ts';

/** A message in transit. `call` is the caller's way to name a pending ask (see CallShipping); -1 for a tell. */
export interface PackedMessage {
  readonly method: string;
  readonly args: readonly unknown[];
  readonly call: unknown;
}

export interface PackedTimer {
  /** Its id stays good: the actor may have it in its state. */
  readonly id: number;
  readonly work: string | null;
  readonly args: readonly unknown[];
  readonly made: number;
  readonly everyMs: number;
  readonly remainingMs: number;
}

export interface PackedActor {
  readonly type: string;
  readonly key: string;
  readonly version: number;
  /** Of the activation that was packed. The new one's must be higher. */
  readonly epoch: number;
  readonly state: unknown;
  /** persist: 'journal' only: number of the last event, and events since the last snapshot. */
  readonly journal: readonly [last: number, sinceSnapshot: number];
  readonly messages: readonly PackedMessage[];
  readonly stash: readonly PackedMessage[];
  /** In the order they were made; work null = made by onActivate() with a closure, which will make it again. */
  readonly timers: readonly PackedTimer[];
  readonly topics: readonly string[];
  readonly reportTo: readonly number[];
  /** Operations done once, with their answers. */
  readonly answered: readonly (readonly [opId: string, value: unknown])[];
  /** Retries of operations that are among the messages, and wait for those. */
  readonly joined: readonly (readonly [opId: string, calls: readonly unknown[]])[];
}

/** How pending asks travel: the test kit keeps them at hand, threads send (asker's thread, call number). */
export interface CallShipping {
  out(call: Call): unknown;
  in(shipped: unknown): Call | null;
}

/** Why this actor cannot move now; undefined when it can. `withRecords`: what it keeps moves with it. */
export function unmovable(act: Activation, withRecords: boolean = false): string | undefined {
  const { placement } = act.hosted.spec;
  if (placement === 'pinned' || placement === 'pool' || placement === 'node') return `its placement is '${placement}'`;
  if (typeof act.keyed !== 'string') return 'it is a spawned child; move its parent';
  if (!withRecords && act.hosted.spec.ownsShards && !act.hosted.host.engine.shared) {
    return "its records are in its thread's memory; give the node a dataDir, then threads share them";
  }
  const extras = act.extras;
  if (extras === null) return undefined;
  if ((extras.children?.length ?? 0) > 0) return `it has ${extras.children?.length} live children`;
  if (extras.watches > 0) return `it watches ${extras.watches} other actors`;
  for (const timer of extras.timers?.values() ?? []) {
    if (typeof timer.work === 'function' && timer.made < 0) {
      return 'it holds a timer with a closure; give after()/every() the name of a method, or set the timer in onActivate()';
    }
  }
  return undefined;
}

/** Why it cannot move before it has worked off some of what it was sent; undefined when it can. Each move may add to what is over its bound. */
export function overfull(act: Activation): string | undefined {
  const count = act.box?.count ?? 0;
  const over = count - act.hosted.spec.capacity;
  if (over <= relocateOverMax) return undefined;
  return `its mailbox holds ${count} messages, ${over} over its bound, and at most ${relocateOverMax} may be; it moves when it has worked some off`;
}

/** Calls back once no turn is open, nothing is awaited and every write is durable. The caller bounds the wait. */
export function freeze(host: Host, act: Activation, quiet: () => void): void {
  act.flags |= freezing;
  const settle = (): void => {
    const more = act.more();
    if ((act.flags & (dead | freezing)) !== freezing) return;
    // One that is falling asleep is awake again first, if its state cannot be stored: what it is frozen by then is the move.
    if (!host.isQuiet(act) || (act.flags & frozen) !== 0) {
      more.onQuiet = settle;
      return;
    }
    const gate = more.gate;
    if (gate !== null && !gate.open) {
      gate.pass({ send: settle, refuse: settle });
      return;
    }
    act.flags = (act.flags | frozen) & ~freezing;
    for (const timer of more.timers?.values() ?? []) {
      timer.remainingMs = timer.pending ? 0 : Math.max(0, timer.at - host.now());
      host.disarm(timer);
    }
    quiet();
  };
  settle();
}

/** The frozen actor as plain data. Throws when something in it cannot travel. onDeactivate('moved') runs first. */
export async function pack(host: Host, act: Activation, calls: CallShipping): Promise<PackedActor> {
  await leave(host, act);
  return packNow(host, act, calls);
}

/** The part of packing that takes time: onDeactivate('moved'). Throws when something in it cannot travel. */
export async function leave(host: Host, act: Activation, withRecords: boolean = false): Promise<void> {
  const reason = unmovable(act, withRecords);
  if (reason !== undefined) throw new TroupeError('BAD_OPTION', `${act.id} cannot move: ${reason}`);
  const later = overfull(act);
  if (later !== undefined) throw new TroupeError('OVERLOADED', `${act.id} cannot move now: ${later}`);
  const actor = act.actor as Actor;
  if (actor.onDeactivate !== Actor.prototype.onDeactivate) {
    act.more().leftForMove = true;
    await host.hook(act, actor, () => actor.onDeactivate('moved'));
    if ((act.flags & (dead | frozen)) !== frozen)
      throw new TroupeError('STOPPED', `the move of ${act.id} was called off`);
  }
}

/** The part that takes none: whoever hands the actor over in the same breath loses no message that comes meanwhile. */
export function packNow(host: Host, act: Activation, calls: CallShipping): PackedActor {
  const { extras } = act;
  const messages: PackedMessage[] = [];
  const take = (message: Parked): PackedMessage | undefined => packMessage(act.hosted, message, calls);
  for (const message of messagesOf(act)) {
    const packed = take(message);
    if (packed !== undefined) messages.push(packed);
  }
  return {
    ...packAlone(host, act),
    messages,
    stash: (extras?.stash ?? []).map(take).filter(each => each !== undefined),
    joined: (extras?.answered?.running() ?? []).map(([opId, retries]) => [
      opId,
      retries.filter(call => call.state !== ended).map(call => calls.out(call)),
    ]),
  };
}

/** The same without what waits in front of it, which stays. */
export function packAlone(host: Host, act: Activation): PackedActor {
  const { extras } = act;
  return {
    type: act.hosted.name,
    key: act.key,
    version: act.hosted.spec.version,
    epoch: act.epochNumber,
    state: (act.actor as Actor).state,
    journal: [extras?.gate?.lastEvent ?? 0, extras?.gate?.sinceSnapshot ?? 0],
    messages: [],
    stash: [],
    timers: packTimers(extras),
    topics: host.topics.of(act.id),
    reportTo: host.watches.reportsOf(act.id),
    answered: extras?.answered?.pack() ?? [],
    joined: [],
  };
}

/** Everything waiting in front of the actor, in order, without taking it out: an aborted move must find it again. */
function messagesOf(act: Activation): Parked[] {
  const all: Parked[] = [...(act.extras?.front ?? [])];
  const box = act.box;
  if (box !== null) {
    // Out and in again: a mailbox has no other way to be read.
    const copy: Parked[] = [];
    box.drainTo((head, a0, a1, meta) => copy.push({ head, a0, a1, meta: meta as Call | null }));
    for (const { head, a0, a1, meta } of copy) box.force(head, a0, a1, meta);
    all.push(...copy);
  }
  for (const waiter of act.extras?.waiters ?? []) all.push(waiter.message);
  return all;
}

function packMessage(hosted: HostedType, message: Parked, calls: CallShipping): PackedMessage | undefined {
  if (message.meta !== null && message.meta.state === ended) return undefined;
  return {
    method: hosted.nameOf((message.head >>> 2) & 255),
    args: argumentsOf(message.head, message.a0, message.a1),
    call: message.meta === null ? -1 : calls.out(message.meta),
  };
}

/** A new activation holding everything, blocked until run(). */
export function install(host: Host, packed: PackedActor, epoch: number, calls: CallShipping): Activation {
  const hosted = host.byName.get(packed.type);
  if (hosted === undefined)
    throw new TroupeError('NO_ACTOR_TYPE', `no actor type '${packed.type}' on ${host.node}/${host.thread}`);
  if (packed.version > hosted.spec.version) {
    throw new TroupeError(
      'FENCED',
      `${packed.type}/${packed.key} comes with state version ${packed.version}; this thread knows ${hosted.spec.version}`,
    );
  }
  const make = hosted.source.make;
  if (make === undefined)
    throw new TroupeError('NO_ACTOR_TYPE', `actor type '${packed.type}' is known by contract only`);
  const act = new Activation(hosted, packed.key, epoch);
  act.flags |= frozen;
  const actor = constructWith(act, make);
  act.actor = actor;
  // Not loaded: what this thread sees of the disk may be older than what was shipped.
  if (hosted.persists) host.persistence.goOn(act, packed.journal);
  actor.state = host.persistence.upToDate(act, packed.state, packed.version);
  const more = act.more();
  more.front = packed.messages.map(message => unpack(act, message, calls));
  more.stash = packed.stash.map(message => unpack(act, message, calls));
  more.shippedTimers = packed.timers;
  for (const { id } of packed.timers) more.nextTimer = Math.max(more.nextTimer, id + 1);
  if (packed.answered.length > 0) {
    more.answered = Answered.unpack(packed.answered);
    // They may go with a state that nobody has saved yet.
    more.answered.dirty = hosted.spec.saves === 'explicit';
  }
  for (const { meta } of [...more.front, ...more.stash]) beginOnce(act, meta);
  for (const [opId, retries] of packed.joined) {
    const found = more.answered?.begin(opId);
    if (found === undefined) more.answered?.drop(opId);
    if (found?.done !== false) continue;
    for (const retry of retries) {
      const call = calls.in(retry);
      if (call === null) continue;
      call.act = act;
      found.joined.push(call);
    }
  }
  host.topics.give(act.id, packed.topics);
  for (const thread of packed.reportTo) host.watches.report(act.id, thread);
  hosted.live.set(packed.key, act);
  host.residents.added(act);
  host.router.woke(act);
  hosted.activated++;
  return act;
}

/** An operation that is done once has travelled before its turn: a retry must find it here. */
function beginOnce(act: Activation, call: Call | null): void {
  const opId = call?.extra?.opId;
  if (opId === undefined || call?.state === ended) return;
  const more = act.more();
  more.answered ??= new Answered();
  more.answered.begin(opId);
}

function unpack(act: Activation, message: PackedMessage, calls: CallShipping): Parked {
  const code = act.hosted.methodCode(message.method) ?? act.hosted.reservedCode(message.method);
  if (code === undefined)
    throw new TroupeError('NO_METHOD', `${act.id} has no method '${message.method}' on this thread`);
  const meta = message.call === -1 ? null : calls.in(message.call);
  if (meta !== null) meta.act = act;
  const parked = weigh(code, message.args);
  return { ...parked, meta };
}

/** Lets an installed (or thawed) actor run: onActivate(), its timers with the time they had left, then its messages. */
export function run(host: Host, act: Activation): void {
  const actor = act.actor as Actor;
  act.flags = (act.flags | starting) & ~frozen;
  const go = (): void => {
    if ((act.flags & dead) !== 0 || act.actor !== actor) return;
    restoreTimers(host, act);
    act.flags &= ~starting;
    act.ready();
  };
  if (actor.onActivate === Actor.prototype.onActivate) {
    go();
    return;
  }
  try {
    const ready = host.hook(act, actor, () => actor.onActivate());
    if (isThenable(ready)) ready.then(go, error => host.failures.startFailed(act, actor, error));
    else go();
  } catch (error) {
    host.failures.startFailed(act, actor, error);
  }
}

function packTimers(extras: Extras | null): PackedTimer[] {
  return [...(extras?.timers?.values() ?? [])].map(({ id, work, args, made, everyMs, remainingMs }) => {
    return { id, work: typeof work === 'string' ? work : null, args, made, everyMs, remainingMs };
  });
}

/**
 * A timer that onActivate() has made again takes over the time left of its predecessor, the one it made at the same place.
 * One that has a name is data and comes back in any case; a closure that was not made again is gone.
 */
function restoreTimers(host: Host, act: Activation): void {
  const more = act.more();
  const shipped = more.shippedTimers;
  if (shipped === null) return;
  more.shippedTimers = null;
  more.timers ??= new Map();
  const remade = [...more.timers.values()];
  for (const { id, work, args, made, everyMs, remainingMs } of shipped) {
    const isSuccessor = (timer: ActorTimer): boolean =>
      timer.made === made &&
      timer.everyMs === everyMs &&
      (work === null ? typeof timer.work === 'function' : timer.work === work);
    let timer = made < 0 ? undefined : remade.find(isSuccessor);
    if (timer === undefined) {
      if (work === null) continue;
      timer = new ActorTimer(act, id, everyMs, work, args, -1);
      more.timers.set(id, timer);
    }
    host.arm(timer, host.now() + remainingMs);
  }
}

/** The move is off. */
export function thaw(host: Host, act: Activation, epoch: number): void {
  if ((act.flags & dead) !== 0) return;
  // It may have been restarted while the move was under way, under an epoch drawn later than this one.
  act.epochNumber = Math.max(act.epochNumber, epoch);
  if ((act.flags & freezing) !== 0) {
    act.flags &= ~freezing;
    act.more().onQuiet = null;
    act.ready();
    return;
  }
  if ((act.flags & frozen) === 0) return;
  const more = act.more();
  if (more.leftForMove) {
    // onDeactivate() has run: to the actor this is a new life with the same state.
    more.leftForMove = false;
    more.shippedTimers = packTimers(more);
    more.timers = null;
    more.madeTimers = 0;
    run(host, act);
    return;
  }
  for (const timer of more.timers?.values() ?? []) host.arm(timer, host.now() + timer.remainingMs);
  act.flags &= ~frozen;
  act.ready();
}

/** The actor lives elsewhere now: what is here is history. Its messages are not refused, they have gone along. */
export function retire(host: Host, act: Activation): void {
  const more = act.more();
  more.front = [];
  more.stash = [];
  more.control = [];
  for (const waiter of more.waiters.splice(0)) waiter.admit();
  if (act.box !== null) {
    act.box.drainTo(() => undefined);
    Mailbox.give(act.box);
    act.leaveBox();
  }
  host.topics.drop(act.id);
  host.watches.takeReports(act.id);
  host.failures.end(act, 'moved');
}
