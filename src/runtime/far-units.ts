// The actors themselves while they move: what the relocation route asks a host to do with one, done with the steps of
// moves.ts. far-moves.ts feeds the route and hands its effects over here.
//
// Invariant: each freeze, pack and install is answered exactly once, with the epoch it was asked under.

import { TroupeError } from '../errors.ts';
import type { Activation } from './activation.ts';
import type { FarMessage, FarMoves } from './far-moves.ts';
import { threadOf } from './far-moves.ts';
import { dead, frozen, moving } from './flags.ts';
import type { Host } from './host.ts';
import type { HostedType } from './hosted-type.ts';
import { argumentsOf } from './messages.ts';
import { freeze, install, type PackedActor, pack, retire, run, thaw, unmovable } from './moves.ts';
import type { RecordCopy } from './moving-records.ts';
import type { HostId, Unit } from './relocation-messages.ts';
import { type Checksum, cutPieces, joinPieces } from './relocation-pieces.ts';
import type { Stored } from './reminder-names.ts';

/** What is shipped: the actor, its reminders, and its records when threads do not share the engine. */
interface Shipment {
  readonly actor: PackedActor;
  readonly records: readonly RecordCopy[];
  readonly reminders: readonly Stored[];
}

/** Why a move could not be packed: the code of a TroupeError, else empty, and the text. */
export type Refusal = readonly [code: string, message: string];

/** An actor may end (go to sleep, stop) while a move waits for it to come to rest: so often it is woken again for the move. */
const wakingsMax = 3;

export class FarUnits {
  private readonly moves: FarMoves;
  private readonly host: Host;
  private readonly checksum: Checksum;
  /** Installed, not running yet. */
  private readonly installed = new Map<Unit, { readonly act: Activation; readonly reminders: readonly Stored[] }>();
  /** Moves that wait until the actor has come to rest. */
  private readonly freezes = new Map<Unit, { readonly epoch: number; wakings: number }>();
  /** Why the last move of a unit could not be packed, for the one who asked. */
  private readonly refusals = new Map<Unit, Refusal>();

  constructor(moves: FarMoves, checksum: Checksum) {
    this.moves = moves;
    this.host = moves.router.host;
    this.checksum = checksum;
  }

  /** Why the last move of a unit could not be made. */
  refusalOf(unit: Unit): Refusal | undefined {
    return this.refusals.get(unit);
  }

  split(unit: Unit): { readonly hosted: HostedType | undefined; readonly key: string } {
    return this.host.split(unit);
  }

  residentOf(unit: Unit): Activation | undefined {
    const { hosted, key } = this.split(unit);
    return hosted?.live.get(key);
  }

  deliver(unit: Unit, from: HostId, payload: FarMessage, accepted: boolean): void {
    const { hosted, key } = this.split(unit);
    if (hosted === undefined) return this.refuse(unit, payload, 'no-type');
    const { gateway, holding, held } = this.moves.router;
    if (gateway?.isAway(unit) === true) return gateway.pass(threadOf(from), new hosted.stubs.Ref(key), payload);
    try {
      // Its partition may be about to leave, where nothing wakes any more.
      if (holding && held.of(hosted, key) !== undefined)
        return held.deliver(new hosted.stubs.Ref(key), payload, threadOf(from));
      const live = hosted.live.get(key);
      // Granted by the directory, which does not know that its partition has been given away while the thread it lived on was being replaced.
      if (live === undefined && !this.moves.router.places.isOurs(hosted, key))
        return this.moves.router.forward(threadOf(from), new hosted.stubs.Ref(key), payload);
      const act = live ?? this.host.activate(hosted, key);
      this.moves.router.arrivals.deliver(
        act,
        threadOf(from),
        payload.code,
        payload.a0,
        payload.a1,
        payload.call,
        accepted,
      );
    } catch (error) {
      if (payload.call !== null) this.host.fail(payload.call, error);
      else this.refuse(unit, payload, String(error));
    }
  }

  refuse(unit: Unit, payload: FarMessage, by: string): void {
    const why = `${unit} is on the move and cannot take more (${by}); the message was not run`;
    if (payload.call !== null) this.host.fail(payload.call, new TroupeError('OVERLOADED', why));
    else
      this.host.deadLetter(
        unit,
        this.split(unit).hosted?.nameOf((payload.code >>> 2) & 255) ?? '?',
        argumentsOf(payload.code, payload.a0, payload.a1),
        why,
      );
  }

  reserve(unit: Unit, epoch: number): void {
    const { hosted } = this.split(unit);
    const room = hosted !== undefined && !this.host.stopped && this.host.residents.hasRoom;
    this.moves.step({ type: room ? 'reserved' : 'reserve-refused', unit, epoch });
  }

  /** Why a unit cannot leave this host now; undefined when it can. */
  movable(unit: Unit): string | undefined {
    const act = this.residentOf(unit);
    if (act === undefined) {
      const placement = this.split(unit).hosted?.spec.placement;
      return placement === 'pinned' || placement === 'pool' || placement === 'node'
        ? `its placement is '${placement}'`
        : undefined;
    }
    return unmovable(act);
  }

  freeze(unit: Unit, epoch: number): void {
    this.refusals.delete(unit);
    this.freezes.set(unit, { epoch, wakings: 0 });
    this.bringToRest(unit);
  }

  private bringToRest(unit: Unit): void {
    const waiting = this.freezes.get(unit);
    const { hosted, key } = this.split(unit);
    if (waiting === undefined || hosted === undefined) return;
    const done = (): void => {
      if (!this.freezes.delete(unit)) return;
      this.moves.step({ type: 'frozen', unit, epoch: waiting.epoch });
    };
    try {
      const act = hosted.live.get(key) ?? this.host.activate(hosted, key);
      act.flags |= moving;
      // On its way to sleep, or ending: when that is over, onEnded() comes back here.
      if ((act.flags & (frozen | dead)) === 0) freeze(this.host, act, done);
    } catch (error) {
      // It cannot even be woken: there is nothing to pack.
      this.refusals.set(unit, ['', String(error)]);
      done();
    }
  }

  /** An actor here has ended while a move waited for it to come to rest: it is woken again, and that one moves. */
  onEnded(act: Activation): void {
    if (this.freezes.size === 0) return;
    const unit = act.id;
    const waiting = this.freezes.get(unit);
    if (waiting === undefined || ++waiting.wakings > wakingsMax) return;
    this.host.world.clock.micro(() => this.host.outside(() => this.bringToRest(unit)));
  }

  pack(unit: Unit, epoch: number): void {
    const act = this.residentOf(unit);
    const fail = (error: unknown): void => {
      this.refusals.set(unit, [(error as Partial<TroupeError>).code ?? '', (error as Error).message]);
      this.moves.step({ type: 'pack-failed', unit, epoch });
    };
    if (act === undefined) return fail(new Error(this.refusals.get(unit)?.[1] ?? `${unit} is not awake`));
    this.host.reminders.recall(unit);
    pack(this.host, act, this.moves.calls.shipOut(unit)).then(actor => {
      try {
        const records = this.host.persistence.moving.copy(act, false);
        const reminders = this.host.reminders.pack(act.hosted.name, act.key);
        const shipment: Shipment = { actor, records, reminders };
        const pieces = cutPieces(this.host.codec.encode(shipment, 1 << 30), this.checksum);
        this.moves.step({ type: 'packed', unit, epoch, pieces, messages: actor.messages.length + actor.stash.length });
      } catch (error) {
        fail(error);
      }
    }, fail);
  }

  install(unit: Unit, epoch: number, pieces: readonly Uint8Array[]): void {
    try {
      const { actor, records, reminders } = this.host.codec.decode(joinPieces(pieces), true) as Shipment;
      // The directory's epoch was drawn when the move began; the actor may have been restarted since, under a higher one.
      this.host.epochs.renew();
      const own = epoch > actor.epoch ? epoch : this.host.epochs.next();
      this.host.persistence.moving.put(actor.key, own, records);
      const act = install(this.host, actor, own, this.moves.calls.shipIn(unit));
      act.flags |= moving;
      this.moves.topics.installed(unit);
      this.installed.set(unit, { act, reminders });
      this.moves.step({ type: 'restored', unit, epoch });
    } catch (error) {
      this.moves.calls.discard(unit);
      this.host.world.log.warn({ err: error, unit }, 'a moved actor could not be installed');
      const code = (error as TroupeError).code;
      this.moves.step({ type: 'restore-failed', unit, epoch, reason: code === 'FENCED' ? 'version' : 'decode' });
    }
  }

  discard(unit: Unit): void {
    const act = this.installed.get(unit)?.act;
    this.installed.delete(unit);
    this.moves.calls.discard(unit);
    this.moves.topics.discarded(unit);
    if (act === undefined) return;
    this.dropRecords(act);
    retire(this.host, act);
  }

  private dropRecords(act: Activation): void {
    const { moving: records } = this.host.persistence;
    records.drop(act, records.copy(act, false));
  }

  thaw(unit: Unit, epoch: number): void {
    this.freezes.delete(unit);
    this.moves.calls.takeBack(unit);
    this.host.reminders.unpack(unit);
    // Drawn by the directory: what wakes here next has to have a higher one.
    this.host.epochs.renew();
    const act = this.residentOf(unit);
    if (act !== undefined) thaw(this.host, act, epoch);
  }

  activate(unit: Unit, epoch: number, how: 'shipped' | 'disk'): void {
    this.host.epochs.renew();
    if (how === 'shipped') {
      const arrived = this.installed.get(unit);
      this.installed.delete(unit);
      this.moves.calls.takeIn(unit);
      if (arrived === undefined) return;
      run(this.host, arrived.act);
      this.host.reminders.adopt(arrived.reminders, arrived.act.epochNumber);
      return;
    }
    const act = this.residentOf(unit);
    if (act !== undefined && (act.flags & dead) === 0 && epoch > act.epochNumber) act.epochNumber = epoch;
  }

  retire(unit: Unit): void {
    this.freezes.delete(unit);
    this.refusals.delete(unit);
    this.moves.calls.giveAway(unit);
    const watchers = this.host.watches.reportsOf(unit);
    const act = this.residentOf(unit);
    if (act !== undefined && !this.installed.has(unit)) {
      this.dropRecords(act);
      this.host.reminders.leave(unit, act.epochNumber);
      retire(this.host, act);
    }
    this.moves.router.version++;
    // Those who came to watch after the pack had been made are in nobody's list but ours.
    const owner = this.moves.threadOf(unit) ?? -1;
    if (owner >= 0 && owner !== this.host.thread)
      for (const thread of watchers) this.moves.router.control(owner, 'watch', { id: unit, thread });
  }

  /** Asks that an old owner may have taken along when it died. */
  doubt(unit: Unit): void {
    const why = `the thread that sent messages on to ${unit} has died; the message may have run`;
    const { pending } = this.moves.router;
    for (const call of [...pending.all()]) {
      if (call.to?.toString() !== unit) continue;
      pending.drop(call);
      this.host.fail(call, new TroupeError('UNKNOWN_OUTCOME', why));
    }
  }
}
