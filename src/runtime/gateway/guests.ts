// The actors themselves in a move between nodes: packed where they leave, installed where they arrive. homes.ts decides; this does.
//
//     leaves:   awake ──freeze──▶ frozen, its mailbox sent back ──pack──▶ packed ──drop──▶ gone      ──thaw──▶ awake, as before
//     arrives:  put: records durable, installed ──run──▶ awake, a guest      ──cancel──▶ gone, records too
//
// A guest is an actor that runs here although its partition is another node's. Whoever sends to it sends to its home, also from this
// node: so there is one way to it for every sender, and what passes its home is in order. Its home marks what it sends on with the
// epoch of the entry, which is the right to run it here.
//
// Invariant: between freeze and verdict (run, cancel, drop, thaw) it causes nothing; the verdict is always the home's.

import { TroupeError } from '../../errors.ts';
import { guestBytesMax, guestFreezeMs, remindersBackMs } from '../../limits.ts';
import type { Activation } from '../activation.ts';
import type { Codec } from '../codec.ts';
import { drain } from '../drain.ts';
import type { FarMessage } from '../far-moves.ts';
import type { FarRouter } from '../far-router.ts';
import { dead, moving } from '../flags.ts';
import type { Host } from '../host.ts';
import type { HostedType } from '../hosted-type.ts';
import { inTime } from '../in-time.ts';
import { freeze, install, leave, type PackedActor, packNow, retire, run, thaw, unmovable } from '../moves.ts';
import type { RecordCopy } from '../moving-records.ts';
import type { Unit } from '../relocation-messages.ts';
import type { Stored } from '../reminder-names.ts';

interface Shipment {
  readonly actor: PackedActor;
  readonly records: readonly RecordCopy[];
  readonly reminders: readonly Stored[];
}

interface Leaving {
  readonly act: Activation;
  /** What is stored of it, once it is packed. */
  records: readonly RecordCopy[];
  /** It has ended: nothing of it will come to rest. */
  ended: () => void;
}

interface Arriving {
  /** Null until everything is durable. */
  act: Activation | null;
  readonly reminders: readonly Stored[];
}

/** A packed actor has no messages, and so no asks. */
const noCalls = {
  out: (): never => {
    throw new TroupeError('OVERLOADED', 'an ask came in while its actor was packed');
  },
  in: (): null => null,
};

export class Guests {
  readonly #router: FarRouter;
  readonly #host: Host;
  /** Refuses what means something on its own node only, in a state as in a message. */
  readonly #codec: Codec;
  readonly #raiseEpochs: (above: number) => Promise<void>;
  readonly #leaving = new Map<Unit, Leaving>();
  readonly #arriving = new Map<Unit, Arriving>();

  constructor(router: FarRouter, codec: Codec, raiseEpochs: (above: number) => Promise<void>) {
    this.#router = router;
    this.#host = router.host;
    this.#codec = codec;
    this.#raiseEpochs = raiseEpochs;
  }

  #split(unit: Unit): [HostedType, string] {
    const { hosted, key } = this.#host.split(unit);
    if (hosted === undefined) throw new TroupeError('NO_ACTOR_TYPE', `node ${this.#host.node} cannot host ${unit}`);
    return [hosted, key];
  }

  /**
   * The actor as its home says it is here: awake, or woken. Null while what it needs is not durable yet. A home sends messages to it
   * only when it is decided that it is here: if the verdict was lost, this is it.
   */
  find(unit: Unit): Activation | null {
    if (this.waiting(unit) !== undefined) this.settle(unit, true);
    if (this.waiting(unit) !== undefined) return null;
    const [hosted, key] = this.#split(unit);
    const act = hosted.live.get(key) ?? this.#host.activate(hosted, key);
    act.flags |= moving;
    return act;
  }

  epochOf(unit: Unit): number {
    const [hosted, key] = this.#split(unit);
    return hosted.live.get(key)?.epochNumber ?? 0;
  }

  // Leaving.

  /**
   * Brings it to rest, hands what waited in its mailbox to `bounce`, in order, and answers with the packed actor. It stays frozen
   * until drop() or thaw(). Rejects, with the actor going on, when it cannot move or does not come to rest in time.
   */
  async pack(unit: Unit, home: string, bounce: (message: FarMessage) => void): Promise<Uint8Array> {
    // Its home sends for it: so it is here, whatever became of the verdict on an earlier move.
    this.settle(unit, true);
    const [hosted, key] = this.#split(unit);
    const act = hosted.live.get(key) ?? this.#host.activate(hosted, key);
    const reason = unmovable(act) ?? this.#stashed(act);
    if (reason !== undefined) throw new TroupeError('BAD_OPTION', `${unit} cannot move: ${reason}`);
    act.flags |= moving;
    const left: Leaving = { act, records: [], ended: () => undefined };
    this.#leaving.set(unit, left);
    try {
      await this.#rest(left);
      this.#goesOn(unit, left);
      for (const message of drain(act)) bounce(message);
      // There is room: whoever was asked to pause would be told so by a turn, and it may stay with nothing to run.
      this.#host.router.drained(act);
      // A reminder waits at its home, perhaps, and would come to it over there: and again from what it takes along.
      await this.#inTime(this.#callBack(unit), unit, 'was not told what became of its reminders');
      this.#goesOn(unit, left);
      await this.#inTime(leave(this.#host, act), unit, "did not end its onDeactivate('moved')");
      this.#goesOn(unit, left);
      const late = this.#stashed(act) ?? this.#running(act);
      if (late !== undefined) throw new TroupeError('OVERLOADED', `${unit} cannot move now: ${late}`);
      // Who watches it is its home's to know: the numbers of peers mean nothing elsewhere.
      const actor = { ...packNow(this.#host, act, noCalls), reportTo: [] };
      left.records = this.#host.persistence.moving.copy(act, true);
      const reminders = this.#host.reminders.pack(hosted.name, key, true);
      const shipment: Shipment = { actor, records: left.records, reminders };
      return this.#codec.encode(shipment, guestBytesMax);
    } catch (error) {
      if (this.#leaving.get(unit) === left) this.thaw(unit, home !== this.#host.node);
      throw error;
    }
  }

  /** After a wait: the verdict may have come meanwhile, or the end of the actor. */
  #goesOn(unit: Unit, step: Leaving | Arriving): void {
    if (this.waiting(unit) !== step) throw new TroupeError('STOPPED', `the move of ${unit} was called off`);
    if (step.act !== null && (step.act.flags & dead) !== 0)
      throw new TroupeError('OVERLOADED', `${unit} ended, or fell asleep, as it was to move; try again`);
  }

  /** Of all threads: one that it has left just now may have a reminder on its way to it. */
  async #callBack(unit: Unit): Promise<void> {
    const { reminders, thread } = this.#host;
    const others = Array.from({ length: this.#router.threads }, (_, other) => other).filter(other => other !== thread);
    const asked = Promise.all(
      // Of a thread that has died nothing comes any more.
      others.map(other => this.#router.query(other, 'reminders-back', unit).catch(() => undefined)),
    );
    // What one that hangs has sent may come once more, from what is stored of it.
    const late = (): Error => new Error('a thread does not answer');
    await inTime(this.#host.world.clock, remindersBackMs, asked, late).catch(() => undefined);
    // Behind theirs: some of what they had sent has come, and is being settled here.
    await reminders.callBack(unit);
  }

  /** What a packed actor cannot take along to another node. */
  #stashed({ extras }: Activation): string | undefined {
    return (extras?.stash.length ?? 0) > 0 ? 'it has stashed messages' : undefined;
  }

  #running({ extras }: Activation): string | undefined {
    return (extras?.answered?.running().length ?? 0) > 0 ? 'operations with an opId are under way' : undefined;
  }

  /** Resolves, too, when it ends: it may just be falling asleep. */
  #rest(left: Leaving): Promise<void> {
    const { act } = left;
    const rests = new Promise<void>(resolve => {
      left.ended = resolve;
      freeze(this.#host, act, resolve);
    });
    return this.#inTime(rests, act.id, 'did not come to rest');
  }

  onEnded(act: Activation): void {
    const left = this.#leaving.size === 0 ? undefined : this.#leaving.get(act.id);
    if (left?.act === act) left.ended();
  }

  #inTime(step: Promise<void>, unit: Unit, what: string): Promise<void> {
    const why = `${unit} ${what} within ${guestFreezeMs} ms`;
    const late = (): TroupeError => new TroupeError('DEADLINE', why, { details: { reason: 'turn-too-long' } });
    return inTime(this.#host.world.clock, guestFreezeMs, step, late);
  }

  /** It lives elsewhere: what is here is history. */
  drop(unit: Unit): void {
    const left = this.#leaving.get(unit);
    if (left === undefined) return;
    this.#leaving.delete(unit);
    const { act, records } = left;
    this.#host.persistence.moving.drop(act, records);
    this.#host.reminders.leave(unit, act.epochNumber, true);
    retire(this.#host, act);
  }

  /** The move is off. `isGuest`: it goes on as one. */
  thaw(unit: Unit, isGuest: boolean): void {
    const left = this.#leaving.get(unit);
    if (left === undefined) return;
    this.#leaving.delete(unit);
    this.#host.reminders.unpack(unit);
    if (!isGuest) left.act.flags &= ~moving;
    thaw(this.#host, left.act, this.#host.epochs.next());
  }

  // Arriving.

  /** Resolves with its epoch here when everything that must not be lost is durable. Rejects with what it cannot be installed for. */
  async put(unit: Unit, bytes: Uint8Array): Promise<number> {
    const { actor, records, reminders } = this.#codec.decode(bytes) as Shipment;
    if (`${actor?.type}/${actor?.key}` !== unit) throw new TroupeError('BAD_MESSAGE', `what came is not ${unit}`);
    // It comes from elsewhere: so it is not here, whatever became of the verdict on an earlier move.
    this.settle(unit, false);
    const arriving: Arriving = { act: null, reminders };
    this.#arriving.set(unit, arriving);
    let epoch = 0;
    try {
      await this.#raiseEpochs(actor.epoch);
      this.#goesOn(unit, arriving);
      this.#host.epochs.renew();
      epoch = this.#host.epochs.next();
      await this.#host.persistence.moving.keep(actor.type, actor.key, epoch, records);
      await this.#host.reminders.keep(actor, reminders, epoch);
      this.#goesOn(unit, arriving);
      arriving.act = install(this.#host, actor, epoch, noCalls);
      arriving.act.flags |= moving;
      return epoch;
    } catch (error) {
      if (this.#arriving.get(unit) === arriving) this.#arriving.delete(unit);
      this.#host.reminders.drop(reminders, epoch);
      throw error;
    }
  }

  run(unit: Unit, isGuest: boolean): void {
    const { act, reminders } = this.#arriving.get(unit) ?? { act: null };
    if (act === null) return;
    this.#arriving.delete(unit);
    if (!isGuest) act.flags &= ~moving;
    run(this.#host, act);
    this.#host.reminders.adopt(reminders, act.epochNumber);
  }

  cancel(unit: Unit): void {
    const { act, reminders } = this.#arriving.get(unit) ?? { act: null };
    this.#arriving.delete(unit);
    if (act === null) return;
    const { moving: records } = this.#host.persistence;
    records.drop(act, records.copy(act, true));
    this.#host.reminders.drop(reminders, act.epochNumber);
    retire(this.#host, act);
  }

  /** The move that waits for its verdict; undefined when none does. */
  waiting(unit: Unit): object | undefined {
    return this.#leaving.get(unit) ?? this.#arriving.get(unit);
  }

  /** The home has said where it lives. */
  settle(unit: Unit, isHere: boolean): void {
    if (this.#leaving.has(unit)) {
      if (isHere) this.thaw(unit, true);
      else this.drop(unit);
    } else if (isHere) this.run(unit, true);
    else this.cancel(unit);
  }

  /** Such actors are elsewhere, says their home: what waits here for its verdict was begun by an earlier life, or an earlier home. */
  callOff(which: (unit: Unit) => boolean): void {
    for (const unit of [...this.#leaving.keys(), ...this.#arriving.keys()]) if (which(unit)) this.settle(unit, false);
  }

  describe(): object {
    return { leaving: [...this.#leaving.keys()], arriving: [...this.#arriving.keys()] };
  }
}
