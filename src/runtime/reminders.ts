// Durable reminders: stored before remind() resolves, as durably as the state of their actor, armed by the thread on which their actor lives, delivered as
// onReminder(name) at least once (a crash between the handler and the bookkeeping delivers it again).
//
//     start, death of a thread ─▶ the owner of the partition reads them, hands those of actors elsewhere over
//     a move ─▶ they travel with their actor; one that waits for its turn just then is called back, and comes over there. Between threads, one that
//     may have come already is settled by whoever has sent it; before a node is left, that is waited for
//
// Where: shard r/<partition>, key = <length u16> <type> 00 <key> <name>, value = codec { at: wall ms, everyMs }.

import { TroupeError } from '../errors.ts';
import { timerMsMax } from '../limits.ts';
import type { Ack, WriteOp } from '../storage/engine.ts';
import type { Activation } from './activation.ts';
import type { ReminderTime } from './actor.ts';
import { Wake } from './failures.ts';
import type { Host } from './host.ts';
import { reminderMethod } from './hosted-type.ts';
import { partitionOf } from './partition.ts';
import { idOf, keyIn, keyOf, type Stored, unitOf } from './reminder-names.ts';

/** One that was sent and has not been answered. */
interface Sent {
  abort(): void;
  /** Its turn is over, and all that followed from it is as durable as its actor. */
  ran(): void;
  /** Resolves when it is known whether it has come. */
  readonly over: Promise<void>;
}

const nobody: ReadonlySet<string> = new Set();

/** Longest name of a reminder, in UTF-16 units. */
const nameMax = 256;
/** Wait before a reminder whose handler failed, or whose actor cannot start, is tried again. */
const retryMs = 1_000;
/** A wall clock that was set forward is noticed within this time. */
const lookEveryMs = 3_600_000;

export class Reminders {
  private readonly host: Host;
  private readonly armed = new Map<string, Wake>();
  private readonly underWay = new Map<string, Sent>();
  /** Those of actors that are just being moved away: they wait for the verdict. */
  private readonly held = new Map<string, Stored[]>();
  /** Writes under way: until one has ended, what is stored of that reminder is history. */
  private readonly writes = new Map<string, Promise<unknown>>();

  /**
   * On a node among others: does the actor of a reminder that is due still live here? Undefined: yes. Rejects when that is not known
   * yet. A node that crashed while an actor left it has its reminders still.
   */
  whereabouts: ((stored: Stored) => Promise<boolean> | undefined) | null = null;

  /** Found damaged in storage, since the start. */
  damaged = 0;

  constructor(host: Host) {
    this.host = host;
  }

  get count(): number {
    return this.armed.size;
  }

  /**
   * Reads everything stored for partitions of this host, and arms it on the thread where its actor lives. Those that are
   * armed already stay as they are, so it may be done again. One that is damaged is lost, and said so; the others are not.
   * `which`: only those of such actors.
   */
  load(partitions: Iterable<number>, which?: (unit: string) => boolean): void {
    for (const partition of partitions) {
      for (const record of this.host.engine.shard(`r/${partition}`).scan({ onCorrupt: error => this.lost(error) })) {
        const stored = this.host.codec.decode(record.value) as Stored;
        if (which === undefined || which(`${stored.type}/${stored.key}`)) this.take(stored);
      }
    }
  }

  private lost(error: TroupeError): void {
    this.damaged++;
    this.host.world.log.error({ err: error }, 'a stored reminder is damaged and will not come');
  }

  /** One that was found in storage, here or by another thread. `isMoved`: another one has had it. */
  take(stored: Stored, isMoved: boolean = false): void {
    const owner = this.ownerOf(stored);
    if (owner !== this.host.thread) {
      if (owner !== undefined) this.host.router.control(owner, 'reminder', stored);
      return;
    }
    const id = idOf(stored.type, stored.key, stored.name);
    if (this.armed.has(id) || this.writes.has(id)) return;
    this.arm(stored);
    if (isMoved && !this.host.engine.shared)
      this.store(stored, this.epochOf(stored)).catch(error => this.warn(error, stored, 'stored'));
  }

  /** The actor's own: with a higher one the actor could not touch its reminder any more. */
  private epochOf({ type, key }: Stored): number {
    return this.host.byName.get(type)?.live.get(key)?.epochNumber ?? this.host.epochs.next();
  }

  private ownerOf(stored: Stored): number | undefined {
    const hosted = this.host.byName.get(stored.type);
    // What is stored here of a partition of another node belongs to a guest, and guests live on the thread that speaks for the node.
    return hosted === undefined ? undefined : this.host.router.threadOf(hosted, stored.key);
  }

  // Partitions that change hands.

  /**
   * None of that partition fires here any more, but those of actors in `keep`. What is on its way to an actor at rest is called back.
   * load() arms them again.
   */
  suspend(partition: number, keep: ReadonlySet<string> = nobody): void {
    const isOurs = (id: string): boolean =>
      partitionOf(keyIn(id), this.host.partitions) === partition && this.isPlacedByRing(id);
    this.disarmThose(id => isOurs(id) && !keep.has(unitOf(id)));
  }

  /** The same for the reminders of such actors. */
  suspendThose(which: (unit: string) => boolean): void {
    this.disarmThose(id => which(unitOf(id)));
  }

  private disarmThose(which: (id: string) => boolean): void {
    for (const id of this.armed.keys()) if (which(id)) this.disarm(id);
  }

  /** One that is due may wait for its turn already: that is over, too. */
  private disarm(id: string): void {
    const wake = this.armed.get(id);
    if (wake !== undefined) this.host.disarm(wake);
    this.armed.delete(id);
    this.underWay.get(id)?.abort();
  }

  private isPlacedByRing(id: string): boolean {
    return this.host.byName.get(id.slice(0, id.indexOf('\u0000')))?.spec.placement === 'ring';
  }

  // Moves.

  /**
   * What travels with an actor at rest, to another thread or, after callBack(), to another node. None of it fires here any more, unless it
   * may have come already, as far as this thread knows.
   */
  pack(type: string, key: string, toNode: boolean = false): Stored[] {
    if (this.armed.size === 0 && !toNode) return [];
    const packed = this.storedOf(type, key).filter(({ name }) => {
      const id = idOf(type, key, name);
      return toNode ? !this.writes.has(id) : this.armed.has(id) && !this.underWay.has(id);
    });
    if (packed.length === 0) return packed;
    for (const { name } of packed) this.disarm(idOf(type, key, name));
    this.held.set(`${type}/${key}`, packed);
    return packed;
  }

  /** What waits in front of an actor of this thread waits no more, from the next turn of promises on. */
  recall(unit: string): Promise<void>[] {
    const sent = [...this.underWay].filter(([id]) => unitOf(id) === unit).map(([, each]) => each);
    for (const { abort } of sent) abort();
    return sent.map(({ over }) => over);
  }

  /** Resolves when it is known of each that is on its way to an actor whether it has come, and that is stored. */
  async callBack(unit: string): Promise<void> {
    await Promise.all(this.recall(unit));
    await Promise.allSettled([...this.writes].filter(([id]) => unitOf(id) === unit).map(([, write]) => write));
  }

  /** The same, and none of them fires here any more: they go to the thread on which their actor lives, which asks for them as it leaves the node. */
  async giveBack(unit: string): Promise<void> {
    await this.callBack(unit);
    if (this.armed.size === 0) return;
    const [type, key] = [unit.slice(0, unit.indexOf('/')), unit.slice(unit.indexOf('/') + 1)];
    const { shared } = this.host.engine;
    for (const stored of this.storedOf(type, key)) {
      const id = idOf(type, key, stored.name);
      if (!this.armed.has(id) || this.ownerOf(stored) === this.host.thread) continue;
      this.disarm(id);
      this.take(stored);
      if (!shared) this.drop([stored], this.epochOf(stored));
    }
  }

  /** The move was called off. */
  unpack(unit: string): void {
    for (const stored of this.held.get(unit) ?? []) this.arm(stored);
    this.held.delete(unit);
  }

  /** The actor lives elsewhere now. */
  leave(unit: string, epoch: number, toNode: boolean = false): void {
    const packed = this.held.get(unit) ?? [];
    this.held.delete(unit);
    if (toNode || !this.host.engine.shared) this.drop(packed, epoch);
  }

  /** They are not kept here any more. */
  drop(packed: readonly Stored[], epoch: number): void {
    for (const stored of packed) this.remove(stored, epoch).catch(error => this.warn(error, stored, 'removed'));
  }

  /** The actor lives here now. */
  adopt(packed: readonly Stored[], epoch: number): void {
    for (const stored of packed) {
      this.arm(stored);
      if (!this.host.engine.shared) this.store(stored, epoch).catch(error => this.warn(error, stored, 'stored'));
    }
  }

  /** Those of an actor that comes from another node, and no others: resolves when they are durable. A crash may have left older ones here. */
  async keep(unit: Pick<Stored, 'type' | 'key'>, packed: readonly Stored[], epoch: number): Promise<void> {
    const names = new Set(packed.map(({ name }) => name));
    const stale = this.storedOf(unit.type, unit.key).filter(({ name }) => !names.has(name));
    // Armed at a start, perhaps, by what was stored then of an earlier stay, and has been cleared away since.
    const known = new Set(packed.map(({ type, key, name }) => idOf(type, key, name)));
    this.disarmThose(id => unitOf(id) === `${unit.type}/${unit.key}` && !known.has(id));
    await Promise.all([
      ...packed.map(stored => this.store(stored, epoch, 'flushed')),
      ...stale.map(stored => this.remove(stored, epoch, 'flushed')),
    ]);
  }

  private storedOf(type: string, key: string): Stored[] {
    const [from, to] = [keyOf({ type, key, name: '' }), keyOf({ type, key, name: '' }, 0xff)];
    const shard = this.host.engine.shard(`r/${partitionOf(key, this.host.partitions)}`);
    return [...shard.scan({ from, to })].map(({ value }) => this.host.codec.decode(value) as Stored);
  }

  private warn(error: unknown, { type, key, name }: Stored, what: string): void {
    const reminder = idOf(type, key, name);
    this.host.world.log.warn({ err: error, reminder }, `the reminder of a moved actor could not be ${what}`);
  }

  async set(act: Activation, name: string, when: ReminderTime): Promise<void> {
    if (typeof name !== 'string' || name === '' || name.length > nameMax)
      throw new TroupeError('BAD_OPTION', `a reminder of ${act.id} needs a name of 1 to ${nameMax} characters`);
    if (typeof act.keyed !== 'string')
      throw new TroupeError(
        'BAD_OPTION',
        `${act.type}: a spawned actor ends with its parent and cannot be reminded; use after()`,
      );
    const { at, everyMs } = this.timeOf(act, name, when);
    const stored: Stored = { type: act.type, key: act.key, name, at, everyMs };
    await this.store(stored, act.epochNumber, act.hosted.spec.durability);
    this.host.observer?.effect(act, 'remind', { name, at });
    this.arm(stored);
  }

  private timeOf(act: Activation, name: string, when: unknown): { at: number; everyMs: number } {
    const now = this.host.world.clock.now();
    const every = typeof when === 'object' && when !== null ? (when as { everyMs?: unknown }).everyMs : undefined;
    if (typeof every === 'number' && every >= 1 && every <= timerMsMax) return { at: now + every, everyMs: every };
    const at = when instanceof Date ? when.getTime() : typeof when === 'number' && when >= 0 ? now + when : Number.NaN;
    if (at <= now + timerMsMax) return { at, everyMs: 0 };
    throw new TroupeError(
      'BAD_OPTION',
      `reminder '${name}' of ${act.id}: the time must be ms from now, 0 or more, a valid Date, or { everyMs: 1 or more }, within ${timerMsMax} ms`,
    );
  }

  async cancel(act: Activation, name: string): Promise<void> {
    this.disarm(idOf(act.type, act.key, name));
    const stored = { type: act.type, key: act.key, name, at: 0, everyMs: 0 };
    await this.remove(stored, act.epochNumber, act.hosted.spec.durability);
  }

  private arm(stored: Stored): void {
    const id = idOf(stored.type, stored.key, stored.name);
    const before = this.armed.get(id);
    if (before !== undefined) this.host.disarm(before);
    const wake = new Wake(() => this.look(stored, wake), true);
    this.armed.set(id, wake);
    this.armWake(stored, wake);
  }

  /** It is due by the clock of the wall, which may jump: so it is looked at now and then, and not only in the end. */
  private armWake(stored: Stored, wake: Wake): void {
    const left = Math.max(0, stored.at - this.host.world.clock.now());
    this.host.arm(wake, this.host.now() + Math.min(left, lookEveryMs));
  }

  private look(stored: Stored, wake: Wake): void {
    if (stored.at > this.host.world.clock.now()) {
      this.armWake(stored, wake);
      return;
    }
    const lives = this.whereabouts?.(stored);
    if (lives === undefined) this.fire(stored, wake);
    else
      lives.then(
        isHere => (isHere ? this.fire(stored, wake) : this.giveUp(stored, wake)),
        () => {
          if (this.isArmed(stored, wake)) this.host.arm(wake, this.host.now() + retryMs);
        },
      );
  }

  private isArmed({ type, key, name }: Stored, wake: Wake): boolean {
    return this.armed.get(idOf(type, key, name)) === wake && !this.host.closing;
  }

  /** It is its actor's, elsewhere. */
  private giveUp(stored: Stored, wake: Wake): void {
    if (!this.isArmed(stored, wake)) return;
    this.armed.delete(idOf(stored.type, stored.key, stored.name));
    // Where several nodes keep it, what lies here is a copy of what its owner has.
    if (this.host.lease === null) this.drop([stored], this.host.epochs.next());
  }

  private fire(stored: Stored, wake: Wake): void {
    const id = idOf(stored.type, stored.key, stored.name);
    if (this.armed.get(id) !== wake || this.host.closing) return;
    if (!this.host.byName.has(stored.type)) return;
    const ref = this.host.refByName(stored.type, stored.key);
    this.host.stirred++;
    const controller = new AbortController();
    const ran = (): void => {
      if (isCurrent()) this.done(stored);
    };
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const sent: Sent = { abort: () => controller.abort(), ran, over };
    this.underWay.set(id, sent);
    const isCurrent = (): boolean => {
      if (this.underWay.get(id) === sent) this.underWay.delete(id);
      return this.armed.get(id) === wake && !this.host.closing;
    };
    // Without a deadline: a handler may take its time, and if its thread is lost the ask ends.
    const options = { deadlineMs: Number.POSITIVE_INFINITY, signal: controller.signal };
    const failed = (error: unknown): void => {
      if (!isCurrent()) return;
      if (!controller.signal.aborted)
        this.host.world.log.warn({ err: error, reminder: id }, 'a reminder could not be delivered yet');
      this.host.arm(wake, this.host.now() + retryMs);
    };
    void this.host
      .ask(ref, (reminderMethod << 2) | 1, stored.name, undefined, options)
      .then(ran, failed)
      .finally(end);
  }

  /** One of a guest of this node has come by way of its home. The answer takes that way back: the guest may be packed before it is here. */
  ran(type: string, key: string, name: string): void {
    this.underWay.get(idOf(type, key, name))?.ran();
  }

  /** It has been delivered: once for all, or until the next time. */
  done(stored: Stored): void {
    const id = idOf(stored.type, stored.key, stored.name);
    const owner = this.ownerOf(stored);
    if (owner !== this.host.thread) {
      // Its actor has moved since: only that one's epoch may touch the record.
      this.armed.delete(id);
      if (owner !== undefined) this.host.router.control(owner, 'reminded', stored);
      return;
    }
    const epoch = this.epochOf(stored);
    this.armed.delete(id);
    if (stored.everyMs > 0) {
      const next = { ...stored, at: Math.max(stored.at + stored.everyMs, this.host.world.clock.now()) };
      this.arm(next);
      this.store(next, epoch).catch(error =>
        this.host.world.log.warn({ err: error, reminder: id }, 'the next time of a reminder could not be stored'),
      );
    } else
      this.remove(stored, epoch).catch(error =>
        this.host.world.log.warn(
          { err: error, reminder: id },
          'a delivered reminder could not be removed; it may come again',
        ),
      );
  }

  private store(stored: Stored, epoch: number, ack?: Ack): Promise<void> {
    const value = this.host.codec.encode(stored);
    return this.write(stored, epoch, { type: 'put', key: keyOf(stored), version: new Uint8Array(0), value }, ack);
  }

  private remove(stored: Stored, epoch: number, ack?: Ack): Promise<void> {
    return this.write(stored, epoch, { type: 'delete', key: keyOf(stored) }, ack);
  }

  private async write(stored: Stored, epoch: number, op: WriteOp, ack: Ack = 'committed'): Promise<void> {
    const id = idOf(stored.type, stored.key, stored.name);
    const write = this.shard(stored).commit({ epoch, fence: 'record', ops: [op] }, ack);
    this.writes.set(id, write);
    try {
      await write;
    } finally {
      if (this.writes.get(id) === write) this.writes.delete(id);
    }
  }

  private shard(stored: Stored): ReturnType<Host['engine']['shard']> {
    return this.host.engine.shard(`r/${partitionOf(stored.key, this.host.partitions)}`);
  }
}
