// Durable reminders: stored before remind() resolves, armed by the thread that owns the actor's partition, delivered as
// onReminder(name) at least once (a crash between the handler and the bookkeeping delivers it again).
//
// Where: shard r/<partition>, key = <length u16> <type> 00 <key> <name>, value = codec { at: wall ms, everyMs }.

import { TroupeError } from '../errors.ts';
import type { Activation } from './activation.ts';
import type { ReminderTime } from './actor.ts';
import { Wake } from './failures.ts';
import type { Host } from './host.ts';
import { reminderMethod } from './hosted-type.ts';
import { partitionOf } from './partition.ts';

interface Stored {
  readonly type: string;
  readonly key: string;
  readonly name: string;
  readonly at: number;
  readonly everyMs: number;
}

/** Longest name of a reminder, in UTF-16 units. */
const nameMax = 256;
/** Wait before a reminder whose handler failed, or whose actor cannot start, is tried again. */
const retryMs = 1_000;

export class Reminders {
  private readonly host: Host;
  private readonly armed = new Map<string, Wake>();

  constructor(host: Host) {
    this.host = host;
  }

  get count(): number {
    return this.armed.size;
  }

  /** Arms everything stored for the partitions this host owns: at start, and when partitions are taken over. */
  load(partitions: Iterable<number>): void {
    for (const partition of partitions) {
      for (const record of this.host.engine.shard(`r/${partition}`).scan())
        this.arm(this.host.codec.decode(record.value) as Stored);
    }
  }

  async set(act: Activation, name: string, when: ReminderTime): Promise<void> {
    if (typeof name !== 'string' || name === '' || name.length > nameMax)
      throw new TroupeError('BAD_OPTION', `a reminder of ${act.id} needs a name of 1 to ${nameMax} characters`);
    if (typeof act.keyed !== 'string')
      throw new TroupeError(
        'BAD_OPTION',
        `${act.type}: a spawned actor ends with its parent and cannot be reminded; use after()`,
      );
    const now = this.host.world.clock.now();
    const everyMs = typeof when === 'object' && 'everyMs' in when ? when.everyMs : 0;
    const at = when instanceof Date ? when.getTime() : now + (typeof when === 'number' ? when : everyMs);
    if (!Number.isFinite(at) || !(everyMs >= 0) || (typeof when === 'object' && 'everyMs' in when && everyMs < 1)) {
      throw new TroupeError(
        'BAD_OPTION',
        `reminder '${name}' of ${act.id}: the time must be ms from now, a valid Date, or { everyMs: 1 or more }`,
      );
    }
    const stored: Stored = { type: act.type, key: act.key, name, at, everyMs };
    await this.store(stored, act.epochNumber);
    this.host.observer?.effect(act, 'remind', { name, at });
    this.arm(stored);
  }

  async cancel(act: Activation, name: string): Promise<void> {
    const id = idOf(act.type, act.key, name);
    const wake = this.armed.get(id);
    if (wake !== undefined) this.host.disarm(wake);
    this.armed.delete(id);
    await this.remove({ type: act.type, key: act.key, name, at: 0, everyMs: 0 }, act.epochNumber);
  }

  private arm(stored: Stored): void {
    const id = idOf(stored.type, stored.key, stored.name);
    const before = this.armed.get(id);
    if (before !== undefined) this.host.disarm(before);
    const wake = new Wake(() => this.fire(stored, wake));
    this.armed.set(id, wake);
    this.host.arm(wake, this.host.now() + Math.max(0, stored.at - this.host.world.clock.now()));
  }

  private fire(stored: Stored, wake: Wake): void {
    const id = idOf(stored.type, stored.key, stored.name);
    if (this.armed.get(id) !== wake || this.host.stopped) return;
    const again = (afterMs: number): void => this.host.arm(wake, this.host.now() + afterMs);
    // The wall clock may have been set back since it was armed.
    const early = stored.at - this.host.world.clock.now();
    if (early > 0) {
      again(early);
      return;
    }
    const hosted = this.host.byName.get(stored.type);
    if (hosted === undefined) return;
    if (!this.host.router.owns(hosted, stored.key)) {
      this.armed.delete(id);
      return;
    }
    const ref = this.host.refByName(stored.type, stored.key);
    this.host.ask(ref, (reminderMethod << 2) | 1, stored.name, undefined, null).then(
      () => {
        if (this.armed.get(id) === wake) this.done(stored, id);
      },
      error => {
        this.host.world.log.warn({ err: error, reminder: id }, 'a reminder could not be delivered yet');
        if (this.armed.get(id) === wake && !this.host.stopped) again(retryMs);
      },
    );
  }

  private done(stored: Stored, id: string): void {
    const epoch = this.host.epochs.next();
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

  private store(stored: Stored, epoch: number): Promise<void> {
    const value = this.host.codec.encode(stored);
    return this.shard(stored).commit(
      { epoch, fence: 'record', ops: [{ type: 'put', key: keyOf(stored), version: new Uint8Array(0), value }] },
      'committed',
    );
  }

  private remove(stored: Stored, epoch: number): Promise<void> {
    return this.shard(stored).commit(
      { epoch, fence: 'record', ops: [{ type: 'delete', key: keyOf(stored) }] },
      'committed',
    );
  }

  private shard(stored: Stored): ReturnType<Host['engine']['shard']> {
    return this.host.engine.shard(`r/${partitionOf(stored.key, this.host.partitions)}`);
  }
}

function idOf(type: string, key: string, name: string): string {
  return `${type}\u0000${key.length}\u0000${key}${name}`;
}

function keyOf(stored: Stored): Uint8Array {
  const owner = new TextEncoder().encode(`${stored.type}\u0000${stored.key}`);
  const name = new TextEncoder().encode(stored.name);
  const key = new Uint8Array(2 + owner.length + name.length);
  key[0] = owner.length >>> 8;
  key[1] = owner.length & 255;
  key.set(owner, 2);
  key.set(name, 2 + owner.length);
  return key;
}
