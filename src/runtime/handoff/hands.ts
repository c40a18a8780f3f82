// One thread's part in a partition that changes hands: thread 0 decides (handing.ts, taking.ts), every thread does this with what it has.
//
//     gives:   hold ─▶ flush, twice ─▶ still, on all threads ─▶ freeze: packed ─▶ gone: their mailboxes follow, they end ─▶ release
//                                        ▲  │ not on one of them    └──────▶ thaw: as before ─▶ release
//                                        └─stir
//     takes:   install: there, and not running ─▶ hold ─▶ run ─▶ release          └──▶ discard
//
// Invariants: between freeze and (gone or thaw), and between install and (run or discard), an actor causes nothing; it is the same
// moment at which all actors of a partition are at rest.

import { TroupeError } from '../../errors.ts';
import { handoffActorsBytesMax, handoffFreezeMs, shiftActorsBytesMax, shiftFreezeMs } from '../../limits.ts';
import type { Activation } from '../activation.ts';
import { ended } from '../call.ts';
import type { Codec } from '../codec.ts';
import { drain } from '../drain.ts';
import type { FarMessage } from '../far-moves.ts';
import type { FarRouter } from '../far-router.ts';
import { moving } from '../flags.ts';
import { travelCodec } from '../gateway/dialect.ts';
import { inTime } from '../in-time.ts';
import { install, leave, type PackedActor, packAlone, retire, run } from '../moves.ts';
import { groupName, isSlot, isUnitIn } from '../rebalance/slot-group.ts';
import { SlotHands } from '../rebalance/slot-hands.ts';
import type { BaseRef } from '../refs.ts';
import type { Unit } from '../relocation-messages.ts';
import type { Sleeper } from '../sleepers.ts';
import { type Change, HandsRecords, type Part, type Storing } from './hands-records.ts';
import type { Stage } from './held.ts';
import { Rest } from './rest.ts';

/** What a thread has of a partition besides its records. */
export interface Packed {
  /** Each packed by itself. */
  readonly actors: readonly (readonly [unit: Unit, bytes: Uint8Array])[];
  readonly sleepers: readonly (readonly [unit: Unit, sleeper: Sleeper])[];
  /** Of those that sleep. */
  readonly topics: readonly (readonly [unit: Unit, topics: readonly string[]])[];
  /** Actors of whose end somebody wants to hear. */
  readonly watched: readonly Unit[];
}

const noCalls = { out: (): never => noCall(), in: (): null => null };

function noCall(): never {
  throw new TroupeError('BAD_MESSAGE', 'a packed actor has no asks');
}

export class Hands {
  readonly records: HandsRecords;
  /** What is done otherwise where a slot changes threads. */
  readonly slots: SlotHands;
  readonly #router: FarRouter;
  readonly #codec: Codec;
  readonly #rest: Rest;
  readonly #installed = new Map<number, Activation[]>();

  constructor(router: FarRouter) {
    this.#router = router;
    const { host } = router;
    this.records = new HandsRecords(host, router.threads);
    this.slots = new SlotHands(router);
    this.#rest = new Rest(router, this.slots);
    this.#codec = travelCodec(host);
    router.on('part-track', (_from, partition: number) => router.awakeIn.track(partition));
    router.on('part-untrack', (_from, partition: number) => router.awakeIn.untrack(partition));
    router.on('part-hold', (_from, { partition, stage }) => this.hold(partition, stage));
    router.on('part-flush', () => this.#flush());
    router.on('part-echo', () => undefined);
    router.on('part-freeze', (_from, partition: number) => this.#freeze(partition));
    router.on('part-gone', (_from, partition: number) => this.#gone(partition));
    router.on('part-depose', (_from, { partition, why }) => this.#depose(partition, why));
    router.on('part-release', (_from, partition: number) => router.held.release(partition));
    router.on('part-back', (from, { unit, ...exported }) =>
      router.gateway?.sendOn(from, host.refById(unit), router.moves.calls.importMessage(exported)),
    );
    router.on('part-install', (_from, packed) => this.#install(packed.partition, packed));
    router.on('part-run', (_from, partition: number) => this.run(partition));
    router.on('part-watched', (_from, partition: number) => this.watchAnew(partition));
    router.on('part-discard', (_from, partition: number) => this.#discard(partition));
    const { records } = this;
    router.on('part-watch', (_from, partition: number) => records.watch(partition));
    router.on('part-unwatch', (_from, partition: number) => records.unwatch(partition));
    router.on('part-shards', (_from, partition: number) => records.shards(partition));
    router.on('part-page', (_from, { shard, from, asked }) => records.page(shard, from, asked));
    router.on('part-dirty', (_from, partition: number) => records.dirty(partition));
    router.on('part-read', (_from, changes: Change[]) => records.read(changes));
    router.on('part-clean', (_from, { partition, keep }) => records.clean(partition, keep));
    router.on('part-keep', (_from, partition: number) => records.keep(partition));
    router.on('part-store', (_from, { partition, parts, ...how }: { partition: number; parts: Part[] } & Storing) =>
      records.store(partition, parts, how),
    );
    router.on('part-same', (_from, { span, digest }) => records.same(span, digest));
    router.on('part-drop', (_from, shard: string) => records.drop(shard));
    router.on('part-clear', (_from, { partition, keep, what }) => records.clear(partition, keep, what));
    router.on('part-settle', () => records.settle());
  }

  /** False: it is on its way already. */
  hold(partition: number, stage: Stage): boolean {
    return this.#router.held.hold(partition, stage).stage === stage;
  }

  /** Whatever this thread has sent to the others until now has been read there. */
  async #flush(): Promise<void> {
    const router = this.#router;
    await Promise.all(this.#others().map(thread => router.query(thread, 'part-echo', null)));
  }

  #others(): number[] {
    const { host, threads, peers } = this.#router;
    const all = Array.from({ length: threads }, (_, thread) => thread);
    return all.filter(thread => thread !== host.thread && peers[thread]?.gone !== true);
  }

  // Giving.

  async #freeze(partition: number): Promise<Packed> {
    const { host } = this.#router;
    const acts = this.#rest.frozen(partition);
    // After a wait: it may have been thawed meanwhile, and frozen anew by a later try, whose actors are not ours to touch.
    const goesOn = (): boolean => acts !== undefined && this.#rest.frozen(partition) === acts;
    try {
      await this.#inTime(Promise.all((acts ?? []).map(act => leave(host, act, true))), partition, 'did not leave');
      if (acts === undefined || !goesOn())
        throw new TroupeError('STOPPED', `the handoff of ${this.#name(partition)} was called off`);
      if (isSlot(this.#router, partition)) await this.slots.settle(partition, goesOn);
      else host.reminders.suspend(partition);
      return this.#pack(partition, acts);
    } catch (error) {
      if (goesOn()) this.#rest.thaw(partition);
      throw error;
    }
  }

  #inTime<T>(step: Promise<T>, partition: number, what: string): Promise<T> {
    const ms = isSlot(this.#router, partition) ? shiftFreezeMs : handoffFreezeMs;
    const why = `actors of ${this.#name(partition)} ${what} within ${ms} ms`;
    return inTime(this.#router.host.world.clock, ms, step, () => new TroupeError('DEADLINE', why));
  }

  #name(group: number): string {
    return groupName(this.#router, group);
  }

  #pack(partition: number, acts: readonly Activation[]): Packed {
    const { host } = this.#router;
    const isOurs = (unit: Unit): boolean => this.#isOf(unit, partition);
    const isOfSlot = isSlot(this.#router, partition);
    let room = isOfSlot ? shiftActorsBytesMax : handoffActorsBytesMax;
    const actors = acts.map((act): [Unit, Uint8Array] => {
      const alone = packAlone(host, act);
      const packed: PackedActor = isOfSlot ? alone : { ...alone, reportTo: [] };
      const bytes = this.#codec.encode(packed, Math.max(0, room));
      room -= bytes.length;
      return [act.id, bytes];
    });
    const awake = new Set(acts.map(({ id }) => id));
    return {
      actors,
      sleepers: host.persistence.sleepers.those(isOurs),
      topics: host.topics.those(unit => isOurs(unit) && !awake.has(unit)),
      watched: isOfSlot ? [] : [...host.watches.watched(), ...host.watches.reported()].filter(isOurs),
    };
  }

  #isOf(unit: Unit, partition: number): boolean {
    return isUnitIn(this.#router, partition, unit);
  }

  /** It is another node's, or thread's: what waits here in front of its actors goes there, before anything that has been held. */
  #gone(partition: number): void {
    const { host, gateway } = this.#router;
    const acts = this.#rest.frozen(partition) ?? [];
    this.#rest.forget(partition);
    this.#router.held.keepWaiting(partition);
    if (isSlot(this.#router, partition)) {
      this.slots.gone(partition, acts);
      this.#forget(partition);
      return;
    }
    // One whose write was under way as it was frozen has been armed since.
    host.reminders.suspend(partition);
    const sendOn = (ref: BaseRef, message: FarMessage): void => {
      if (gateway !== null) gateway.sendOn(host.thread, ref, message);
      else if (message.call?.state !== ended) this.#sendBack(ref, message);
    };
    for (const act of acts) {
      const ref = host.refById(act.id);
      for (const message of drain(act)) sendOn(ref, message);
      retire(host, act);
    }
    for (const { ref, message } of this.#router.held.takeLate(partition)) sendOn(ref, message);
    this.#forget(partition);
  }

  /** Another node has become its owner, and this one was not asked: what runs here ends, and nothing of it is said or stored. */
  #depose(partition: number, why: string): void {
    const { host, held } = this.#router;
    this.#rest.forget(partition);
    const error = new TroupeError('FENCED', why, { retryable: true });
    held.drop(partition, error);
    const unknown = new TroupeError('FENCED', why, { outcome: 'unknown', retryable: true });
    for (const act of held.awake(partition)) {
      // Turns that are open, too: what they have changed is gone.
      for (const call of host.callsTo(act)) host.fail(call, unknown);
      host.failures.end(act, 'failed', error);
    }
    host.reminders.suspend(partition);
    this.#forget(partition);
  }

  #forget(partition: number): void {
    const { host } = this.#router;
    const { sleepers } = host.persistence;
    for (const [unit] of sleepers.those(unit => this.#isOf(unit, partition))) sleepers.forget(unit);
    for (const [unit] of host.topics.those(unit => this.#isOf(unit, partition))) host.topics.drop(unit);
  }

  /** By thread 0, which has the links. */
  #sendBack(ref: BaseRef, message: FarMessage): void {
    const { moves, arrivals, held } = this.#router;
    try {
      this.#router.control(0, 'part-back', { unit: ref.toString(), ...moves.calls.exportMessage(message) });
      if (message.call?.arrived === true) arrivals.silence(message.call);
    } catch (error) {
      held.refuse(ref, message, error);
    }
  }

  // Taking.

  #install(partition: number, { actors, sleepers, topics }: Packed): void {
    const { host } = this.#router;
    host.epochs.renew();
    const acts = this.#installed.get(partition) ?? [];
    this.#installed.set(partition, acts);
    for (const [unit, bytes] of actors) {
      const packed = this.#codec.decode(bytes) as PackedActor;
      if (`${packed?.type}/${packed?.key}` !== unit || !this.#isOf(unit, partition))
        throw new TroupeError('BAD_MESSAGE', `what came is not ${unit}, of ${this.#name(partition)}`);
      const reportTo = packed.reportTo.filter(thread => thread !== host.thread);
      const topics = isSlot(this.#router, partition) ? this.slots.keepTopics(unit, packed.topics) : packed.topics;
      const act = install(host, { ...packed, reportTo, topics }, host.epochs.next(), noCalls);
      act.flags |= moving;
      acts.push(act);
    }
    for (const [unit, sleeper] of sleepers) host.persistence.sleepers.take(unit, sleeper);
    for (const [unit, names] of topics)
      host.topics.give(unit, isSlot(this.#router, partition) ? this.slots.keepTopics(unit, names) : names);
  }

  run(partition: number): void {
    const { host } = this.#router;
    const acts = this.#installed.get(partition) ?? [];
    this.#installed.delete(partition);
    this.records.taken(partition);
    const came = new Set(acts);
    const guests = this.#router.held.awake(partition).filter(act => !came.has(act));
    // What wakes here from now on has a higher epoch than it had over there.
    host.epochs.renew();
    if (isSlot(this.#router, partition)) this.slots.take();
    // Above what its records have been stored under here, as copies for their owner, since it was installed.
    if (host.lease !== null) for (const act of acts) act.epochNumber = host.epochs.next();
    for (const act of acts) run(host, act);
    if (isSlot(this.#router, partition)) {
      this.slots.loadReminders(partition);
      return;
    }
    try {
      // Of a life in which it was not ours: armed where that was right. Those of guests are, and one may be on its way.
      host.reminders.suspend(partition, new Set(guests.map(({ id }) => id)));
      host.reminders.load([partition]);
    } catch (error) {
      host.world.log.error({ err: error, partition }, 'the reminders of a partition that has come cannot be read');
    }
  }

  /** Its actors are elsewhere from now on: that is where their end will be seen. */
  watchAnew(partition: number): void {
    const { host } = this.#router;
    for (const id of host.watches.watched()) {
      if (!this.#isOf(id, partition)) continue;
      const { hosted, key } = host.split(id);
      if (hosted !== undefined)
        this.#router.control(this.#router.threadOf(hosted, key), 'watch', { id, thread: host.thread });
    }
  }

  /** It does not come. */
  #discard(partition: number): void {
    const { host } = this.#router;
    const acts = this.#installed.get(partition) ?? [];
    this.#installed.delete(partition);
    this.records.taken(partition);
    if (isSlot(this.#router, partition)) this.slots.discard();
    for (const act of acts) retire(host, act);
    this.#forget(partition);
  }
}
