// State that survives: loading on activation, one write per turn that changed something, events, sleep, and the output gate
// around all of it. Writes of all actors of a thread share the engine's group commit.
//
// persist: 'snapshot'  the whole state, after each turn that changed it (saves: 'turn') or when save() says so.
// persist: 'journal'   events by append(); a snapshot every so many events keeps replay short.
// persist: 'none'      nothing on disk; a sleeping actor's state waits in memory, so idleness alone never loses it.
//
// Where: shard a/<partition>, keys
//   s <type> 00 <key>                     the snapshot; version bytes = [state version u32][last event u48]
//   o <type> 00 <key>                     answers of operations done once (opId), in the same commit as the state
//   e <length u16> <type> 00 <key> <n u48>  event n; version bytes as above, none in records of before
// Every write carries the activation's epoch and is refused by the engine when a higher one has written ('record' fence).

import { TroupeError } from '../errors.ts';
import type { Ack, Shard, WriteOp } from '../storage/engine.ts';
import type { Activation } from './activation.ts';
import type { Actor, DeactivateReason } from './actor.ts';
import {
  empty,
  equal,
  eventKey,
  eventPrefix,
  memoKey,
  readVersion,
  snapshotKey,
  writeVersion,
} from './actor-records.ts';
import { Answered } from './answered.ts';
import type { Call } from './call.ts';
import { dead } from './flags.ts';
import { Gate, type LastWrite } from './gate.ts';
import type { Host } from './host.ts';
import { MovingRecords } from './moving-records.ts';
import { OutputGate } from './output-gate.ts';
import { partitionOf } from './partition.ts';
import { Sleepers } from './sleepers.ts';

/** Events between two snapshots: at 1 us an event to replay, a millisecond of activation. */
const eventsPerSnapshot = 1_024;

export class Persistence extends OutputGate {
  /** States of sleeping actors that are not stored. */
  readonly sleepers: Sleepers;
  readonly moving: MovingRecords;
  /** Gates of ended lives whose writes are still under way, by actor: what the next life reads may yet be refused. */
  private readonly leaving = new Map<string, Gate>();

  constructor(host: Host) {
    super(host);
    this.sleepers = new Sleepers(host);
    this.moving = new MovingRecords(host);
  }

  private shardOf(act: Activation): Shard {
    return this.host.engine.shard(`a/${partitionOf(act.key, this.host.partitions)}`);
  }

  /** Shard.kept() of its records. */
  kept(act: Activation): Promise<void> | undefined {
    return this.shardOf(act).kept?.();
  }

  protected gateOf(act: Activation): Gate {
    const more = act.more();
    more.gate ??= new Gate();
    return more.gate;
  }

  // Loading.

  /** Puts the stored state in place. Undefined when there is none. Throws CORRUPT, or FENCED for a state from newer code. */
  load(act: Activation, actor: Actor): true | undefined {
    if (!act.hosted.persists) return this.sleepers.wake(act, actor);
    const shard = this.shardOf(act);
    const stored = shard.get(snapshotKey(act.hosted.name, act.key));
    const gate = this.gateOf(act);
    this.followLastLife(act, gate);
    this.loadMemo(act, shard);
    if (stored !== undefined) {
      const { stateVersion, lastEvent } = readVersion(stored.version);
      actor.state = this.upToDate(act, this.host.codec.decode(stored.value), stateVersion);
      if (stateVersion === act.hosted.spec.version) gate.handedIn = stored.value;
      gate.lastEvent = lastEvent;
    }
    if (act.hosted.spec.persist !== 'journal') return stored === undefined ? undefined : true;
    if (stored === undefined) actor.state = actor.initial(undefined);
    const prefix = eventPrefix(act.hosted.name, act.key);
    for (const record of shard.scan({
      from: eventKey(prefix, gate.lastEvent + 1),
      to: eventKey(prefix, 2 ** 48 - 1),
    })) {
      if (record.version.length > 0) this.refuseNewer(act, readVersion(record.version).stateVersion);
      actor.onEvent(this.host.codec.decode(record.value));
      gate.lastEvent++;
      gate.sinceSnapshot++;
    }
    return true;
  }

  /** The engine shows writes that are not durable yet. What rests on one of the last life's waits for it, or is undone with it. */
  private followLastLife(act: Activation, gate: Gate): void {
    const before = this.leaving.size === 0 ? undefined : this.leaving.get(act.id);
    if (before === undefined || before.open) return;
    const ticket = gate.ticket();
    gate.last = before.last;
    before.pass({
      send: () => gate.settled(ticket),
      refuse: error => {
        if (act.extras?.gate === gate) this.refuse(act, gate, ticket, error, null);
        else gate.refused(ticket, error);
      },
    });
  }

  /** A state of an older version, brought up to this one. Throws FENCED for a newer one. */
  upToDate(act: Activation, state: unknown, from: number): unknown {
    const { version, migrate } = act.hosted.spec;
    if (from === version) return state;
    this.refuseNewer(act, from);
    if (migrate === undefined) {
      throw new TroupeError(
        'BAD_OPTION',
        `the stored state of ${act.id} has version ${from}, the code ${version}, and actor type '${act.hosted.name}' has no migrate function`,
        { details: { stored: from, known: version } },
      );
    }
    return migrate(state, from);
  }

  private refuseNewer(act: Activation, from: number): void {
    const { version } = act.hosted.spec;
    if (from <= version) return;
    throw new TroupeError(
      'FENCED',
      `the stored state of ${act.id} has version ${from}, this code knows ${version}; it is left untouched: deploy the newer code`,
      { details: { stored: from, known: version }, retryable: false },
    );
  }

  // Writing.

  /** Hands the state to storage if it differs from what was handed in last. */
  protected savePoint(act: Activation, gate: Gate): void {
    const spec = act.hosted.spec;
    if (act.actor === null) return;
    if (spec.persist === 'journal') {
      // A turn's events are one group: all of them are stored, or none.
      const ops =
        gate.sinceSnapshot < eventsPerSnapshot
          ? gate.events.splice(0)
          : this.compactOps(act, this.encode(act, act.actor), gate);
      ops.push(...this.memoOps(act));
      if (ops.length > 0) void this.write(act, gate, ops, spec.durability).catch(() => undefined);
      return;
    }
    // Its answers go with the state they belong to: with the next save, or at once when that has been.
    if (spec.saves === 'explicit' && (act.extras?.answered?.dirty !== true || gate.handedIn === undefined)) return;
    const bytes = this.encode(act, act.actor);
    if (spec.saves === 'explicit' && !equal(bytes, gate.handedIn as Uint8Array)) return;
    const memo = this.memoOps(act);
    if (memo.length === 0 && gate.handedIn !== undefined && equal(bytes, gate.handedIn)) return;
    gate.handedIn = bytes;
    this.host.observer?.effect(act, 'persist', { level: spec.durability });
    void this.write(act, gate, [this.snapshotOp(act, bytes, gate), ...memo], spec.durability).catch(() => undefined);
  }

  private encode(act: Activation, actor: Actor): Uint8Array {
    try {
      return this.host.codec.encode(actor.state);
    } catch (error) {
      throw new TroupeError('BAD_MESSAGE', `the state of ${act.id} cannot be stored: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /** The answers of operations done once, if there are new ones. */
  private memoOps(act: Activation): WriteOp[] {
    const answered = act.extras?.answered;
    if (answered == null || !answered.dirty) return [];
    answered.dirty = false;
    const value = this.host.codec.encode(answered.pack());
    return [{ type: 'put', key: memoKey(act.hosted.name, act.key), version: empty, value }];
  }

  private loadMemo(act: Activation, shard: Shard): void {
    const stored = shard.get(memoKey(act.hosted.name, act.key));
    const before = act.extras?.answered ?? null;
    if (stored === undefined && before === null) return;
    const packed = stored === undefined ? [] : (this.host.codec.decode(stored.value) as [string, unknown][]);
    act.more().answered = Answered.unpack(packed, before);
  }

  private snapshotOp(act: Activation, value: Uint8Array, gate: Gate): WriteOp {
    return {
      type: 'put',
      key: snapshotKey(act.hosted.name, act.key),
      version: writeVersion(act.hosted.spec.version, gate.lastEvent),
      value,
    };
  }

  private write(act: Activation, gate: Gate, ops: WriteOp[], ack: Ack): Promise<void> {
    const ticket = gate.ticket();
    const { hosted } = act;
    const { last } = gate;
    const refused = (): void => {
      written.isRefused = true;
    };
    const handIn = (): Promise<void> =>
      this.shardOf(act).commit({ epoch: act.epochNumber, fence: 'record', ops }, ack, refused);
    const done = last !== null && this.isUnheard(act, last) ? last.done.then(handIn) : handIn();
    const [first] = ops as [WriteOp, ...WriteOp[]];
    const value = first.type === 'put' ? first.value : empty;
    const written: LastWrite = { key: first.key, value, done, isRefused: false };
    gate.last = written;
    const heard = (): void => {
      if (gate.last === written) gate.last = null;
    };
    return done.then(
      () => {
        heard();
        gate.settled(ticket);
      },
      error => {
        heard();
        if (act.extras?.gate === gate) this.refuse(act, gate, ticket, error, null);
        else gate.refused(ticket, error);
        hosted.failed++;
        throw error;
      },
    );
  }

  /**
   * Between the engine's refusal of a write and the microtask in which we hear of it lies a moment in which a turn may end.
   * What it hands in would rest on what was refused, and the engine, which thinks that we know, would take it. So a write
   * that is neither pending nor seen to be stored is waited for.
   */
  private isUnheard(act: Activation, last: LastWrite): boolean {
    if (last.isRefused) return true;
    const shard = this.shardOf(act);
    if (shard.pending(last.key)) return false;
    const stored = shard.get(last.key);
    return stored === undefined || !equal(stored.value, last.value);
  }

  /**
   * A write was refused, or could not even be handed in (no ticket): its outputs fail with the reason, and memory goes back
   * to what is stored. What waits for earlier writes goes on waiting for them, and so does what is said from now on.
   */
  protected refuse(act: Activation, gate: Gate, ticket: number | null, error: unknown, call: Call | null): void {
    for (const output of gate.held.splice(0)) output.refuse(error);
    if (ticket !== null) gate.refused(ticket, error);
    if (call !== null) this.host.fail(call, error);
    if ((act.flags & dead) !== 0 || act.actor === null) return;
    this.host.events.emit('actor-failed', { id: act.id, epoch: act.epochNumber, error, action: 'roll-back' });
    if (error instanceof TroupeError && error.code === 'FENCED') {
      this.host.failures.end(act, 'failed', error);
      return;
    }
    if (act.hosted.spec.saves === 'explicit') {
      gate.handedIn = undefined;
      return;
    }
    try {
      this.forget(act);
      if (this.load(act, act.actor) === undefined) act.actor.state = act.actor.initial(act.props);
    } catch (cause) {
      this.host.failures.startFailed(act, act.actor, cause);
    }
  }

  // What the actor calls.

  save(act: Activation, actor: Actor, level: Ack): Promise<void> {
    if (!act.hosted.persists) {
      return Promise.reject(
        new TroupeError(
          'BAD_OPTION',
          `${act.id} cannot save(): its type has persist: 'none'. Set persist: 'snapshot' or 'journal'`,
        ),
      );
    }
    const gate = this.gateOf(act);
    try {
      const bytes = this.encode(act, actor);
      gate.handedIn = bytes;
      this.host.observer?.effect(act, 'persist', { level });
      const ops =
        act.hosted.spec.persist === 'journal'
          ? [...this.compactOps(act, bytes, gate), ...this.memoOps(act)]
          : [this.snapshotOp(act, bytes, gate), ...this.memoOps(act)];
      const written = this.write(act, gate, ops, level);
      this.flushHeld(gate);
      // A turn need not await it: that it was refused is told by an event too, and must not end the process.
      written.catch(() => undefined);
      return written;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  append(act: Activation, actor: Actor, event: unknown): void {
    if (act.hosted.spec.persist !== 'journal') {
      throw new TroupeError(
        'BAD_OPTION',
        `${act.id} cannot append(): its type has persist: '${act.hosted.spec.persist}'. Set persist: 'journal'`,
      );
    }
    const value = this.host.codec.encode(event);
    actor.onEvent(event);
    const gate = this.gateOf(act);
    gate.lastEvent++;
    gate.sinceSnapshot++;
    const key = eventKey(eventPrefix(act.hosted.name, act.key), gate.lastEvent);
    const version = writeVersion(act.hosted.spec.version, gate.lastEvent);
    gate.events.push({ type: 'put', key, version, value });
    this.host.observer?.effect(act, 'append', { event });
    // Outside of any turn nothing else would hand it in.
    if (this.host.turn()?.open !== true) this.savePoint(act, gate);
  }

  /** A snapshot, and the events it contains gone, in one group. */
  private compactOps(act: Activation, bytes: Uint8Array, gate: Gate): WriteOp[] {
    const ops: WriteOp[] = [this.snapshotOp(act, bytes, gate)];
    const prefix = eventPrefix(act.hosted.name, act.key);
    for (let n = gate.lastEvent - gate.sinceSnapshot + 1; n <= gate.lastEvent; n++)
      ops.push({ type: 'delete', key: eventKey(prefix, n) });
    gate.sinceSnapshot = 0;
    gate.events = [];
    return ops;
  }

  // Moves.

  /** A moved actor goes on here: its state came with it, and its next event has this number. */
  goOn(act: Activation, [last, sinceSnapshot]: readonly [number, number]): void {
    const gate = this.gateOf(act);
    gate.lastEvent = last;
    gate.sinceSnapshot = sinceSnapshot;
  }

  // Sleep.

  /** What an ending activation leaves behind. A promise when something must be stored first. */
  sleep(act: Activation, actor: Actor, why: DeactivateReason): Promise<void> | undefined {
    const gate = act.extras?.gate ?? null;
    const { hosted } = act;
    if (hosted.spec.persist === 'journal' && gate !== null) this.savePoint(act, gate);
    if (!hosted.persists) {
      if ((why === 'idle' || why === 'evicted') && typeof act.keyed === 'string') this.sleepers.lull(act, actor);
      return undefined;
    }
    const keepsUnsaved = hosted.spec.persist === 'snapshot' && why !== 'failed';
    if (keepsUnsaved) {
      const bytes = this.encode(act, actor);
      const own = this.gateOf(act);
      const memo = this.memoOps(act);
      if (memo.length > 0 || own.handedIn === undefined || !equal(bytes, own.handedIn)) {
        own.handedIn = bytes;
        return this.write(act, own, [this.snapshotOp(act, bytes, own), ...memo], hosted.spec.durability);
      }
    }
    if (gate === null || gate.open) return undefined;
    return new Promise((resolve, reject) => gate.pass({ send: resolve, refuse: reject }));
  }

  /** A moved or restarted actor's gate and sleeping copy are void. */
  forget(act: Activation): void {
    const gate = act.extras?.gate;
    if (act.extras === null || gate == null) return;
    act.extras.gate = null;
    if (gate.open) return;
    const { id } = act;
    const gone = (): void => {
      if (this.leaving.get(id) === gate) this.leaving.delete(id);
    };
    this.leaving.set(id, gate);
    gate.pass({ send: gone, refuse: gone });
  }
}
