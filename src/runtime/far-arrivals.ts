// What comes from other threads for the actors of this one: into their mailboxes, or on to where they are by now.
//
//      frame ─▶ awake here, calm? ──yes──▶ mailbox ──full──▶ ask: OVERLOADED at once    tell: taken, its thread pauses
//                  └no─▶ moved or moving? ──▶ relocation route
//                  └──▶ ours? ─▶ wake it        not ours: we are behind the news, or the sender is
//
// Links are first in, first out each, not together: after a death another thread may route by the new table of partitions
// before this one has heard of it. It says so on its link ('table') before it does, and what it sends waits here.
//
// Invariants: a message is delivered, sent on, kept or refused; an arrived ask is answered once, by whoever has it last.

import { quickError, TroupeError, toWireError } from '../errors.ts';
import { relocateParkedMax } from '../limits.ts';
import type { Activation } from './activation.ts';
import { type Asker, Call, ended, started, waiting } from './call.ts';
import { unanswerable } from './codec-refusal.ts';
import { offer, overflow, refusesMore } from './delivery.ts';
import type { FarMessage } from './far-moves.ts';
import type { FarRouter } from './far-router.ts';
import type { FarPlace } from './far-wire.ts';
import { dead, moving } from './flags.ts';
import type { Host } from './host.ts';
import type { HostedType } from './hosted-type.ts';
import { unitsIn } from './mailbox.ts';
import { argumentsOf } from './messages.ts';
import { unitsOf } from './weight.ts';

interface Early {
  readonly from: number;
  readonly place: FarPlace;
  readonly message: FarMessage;
}

/** Low bits of a call's number: its place in the table of its asker. */
const placeMask: number = (1 << 20) - 1;

export class FarArrivals {
  private readonly router: FarRouter;
  private readonly host: Host;
  /** By thread, by place in that thread's table: the last ask that came with it. */
  private readonly calls: (Call | undefined)[][] = [];
  /** By thread: the table of partitions it goes by. */
  private readonly tables: number[] = [];
  private early: Early[] = [];

  constructor(router: FarRouter) {
    this.router = router;
    this.host = router.host;
  }

  /** A message for an actor that should live here. `place` is what the wire keeps for an address it has been told of. */
  arrive(
    from: number,
    place: FarPlace,
    epoch: number,
    code: number,
    a0: unknown,
    a1: unknown,
    call: Call | null,
  ): void {
    let act = place.act;
    if (act === null || (act.flags & dead) !== 0) {
      act = this.resident(place.hosted, place.key);
      place.act = act;
    }
    if (act === null || (act.flags & moving) !== 0) this.arriveSlow(from, place, epoch, { code, a0, a1, call });
    else this.deliver(act, from, code, a0, a1, call, false);
  }

  private resident(hosted: HostedType, key: string): Activation | null {
    return hosted.live.get(key) ?? (key.charCodeAt(0) === 0 ? this.child(hosted, key) : null);
  }

  private child(hosted: HostedType, key: string): Activation | null {
    try {
      return this.host.find(new hosted.stubs.Ref(key));
    } catch {
      return null;
    }
  }

  /** One that needs a second look. */
  arriveSlow(from: number, place: FarPlace, epoch: number, message: FarMessage): void {
    const { hosted, key } = place;
    const { moves } = this.router;
    const { code, a0, a1, call } = message;
    const unit = `${hosted.name}/${key}`;
    if (this.router.holding && this.arriveHeld(from, place, message)) return;
    if (this.router.gateway?.isAway(unit) === true) {
      this.router.gateway.pass(from, new hosted.stubs.Ref(key), message);
      return;
    }
    try {
      if (moves.any && (moves.inMotion(unit) || (moves.knows(unit) && this.router.places.isOurs(hosted, key)))) {
        moves.arrived(from, unit, epoch, message);
        return;
      }
      const act = this.host.find(new hosted.stubs.Ref(key));
      if (act !== null) this.deliver(act, from, code, a0, a1, call, false);
      else if ((this.tables[from] ?? 0) > this.router.tableVersion) this.keep({ from, place, message });
      else this.router.forward(from, new hosted.stubs.Ref(key), message);
    } catch (error) {
      this.refuse(hosted, key, message, error);
    }
  }

  /** Its partition is changing hands. False: it is one whose messages take a way of their own. */
  private arriveHeld(from: number, { hosted, key }: FarPlace, message: FarMessage): boolean {
    const { held, gateway } = this.router;
    const now = held.of(hosted, key);
    if (now === undefined || this.router.places.takesOwnWay(`${hosted.name}/${key}`)) return false;
    const ref = new hosted.stubs.Ref(key);
    try {
      // Sent by a thread that takes us for the way to the old owner: not before what it has sent by that way is back.
      if (now.stage === 'settling' && gateway !== null) held.take(now, ref, message);
      else held.pass(ref, message, from);
    } catch (error) {
      this.refuse(hosted, key, message, error);
    }
    return true;
  }

  private refuse(hosted: HostedType, key: string, { code, a0, a1, call }: FarMessage, error: unknown): void {
    const unit = `${hosted.name}/${key}`;
    if (call !== null) this.host.fail(call, error);
    else this.host.deadLetter(unit, hosted.nameOf((code >>> 2) & 255), argumentsOf(code, a0, a1), String(error));
  }

  private keep(early: Early): void {
    if (this.early.length < relocateParkedMax) {
      this.early.push(early);
      return;
    }
    const { hosted, key } = early.place;
    const why = `${relocateParkedMax} messages wait here for the news of a thread's death; it was not run`;
    this.refuse(hosted, key, early.message, new TroupeError('OVERLOADED', why));
  }

  /** That thread goes by this table from now on. */
  heardTable(from: number, version: number): void {
    this.tables[from] = version;
  }

  /** Our own table has changed: what came too early is read again, in order. */
  tableChanged(): void {
    for (const { from, place, message } of this.early.splice(0)) this.arriveSlow(from, place, -1, message);
  }

  /** A thread has died. What it asked, nobody wants to know. */
  forget(thread: number): void {
    for (const call of this.calls[thread] ?? [])
      if (call?.state === waiting && call.peer === thread && !this.router.moves.calls.isShipped(call))
        this.host.fail(call, quickError('STOPPED', `thread ${thread}, which asked, has died; it was not run`));
    this.calls[thread] = [];
    this.tables[thread] = 0;
  }

  /** Into the mailbox. What its sender was told is on its way is taken even beyond the bound, and the sender paused. */
  deliver(
    act: Activation,
    from: number,
    code: number,
    a0: unknown,
    a1: unknown,
    call: Call | null,
    accepted: boolean,
  ): void {
    const { host } = this;
    const { spec } = act.hosted;
    // It was measured when it was written, and was not too large: an estimate above the whole mailbox is only an estimate. An
    // empty mailbox takes it, so whoever is paused below is resumed by a turn.
    const units = unitsOf(code, a0, a1);
    const head = code | ((units > 1 ? Math.min(units, unitsIn(spec.bytes)) : units) << 10);
    if (call !== null) {
      if (call.state === ended) return;
      if (call.chain !== null || call.extra !== null || call.from !== null) {
        offer(host, act, call, head, a0, a1);
        if ((act.extras?.waiters.length ?? 0) !== 0) this.pauseSender(act, from);
        return;
      }
      call.act = act;
    }
    const box = act.box ?? act.openBox();
    const waiters = act.extras?.waiters;
    if (waiters !== undefined && waiters.length !== 0) {
      // Asks with a chain wait in line (delivery.ts): nothing that came after them may pass them.
      const refuse = (error: TroupeError): void => this.refuse(act.hosted, act.key, { code, a0, a1, call }, error);
      waiters.push({ message: { head, a0, a1, meta: call }, admit: () => undefined, refuse });
      this.pauseSender(act, from);
      return;
    }
    if ((call !== null && refusesMore(act)) || !box.push(head, a0, a1, call)) {
      if (call !== null && !accepted && spec.overflow === 'reject') {
        // The next ones are refused over there, until half of the mailbox is free: refusing costs more here than a turn.
        this.pauseSender(act, from);
        overflow(host, act, head, a0, a1, call);
        return;
      }
      box.force(head, a0, a1, call);
      this.pauseSender(act, from);
    }
    act.ready();
  }

  private pauseSender(act: Activation, from: number): void {
    if (from === this.host.thread) return;
    const more = act.more();
    more.paused ??= new Set();
    if (more.paused.has(from)) return;
    more.paused.add(from);
    this.router.control(from, 'pause', act.id);
  }

  /** The mailbox has room again. */
  drained(act: Activation): void {
    const paused = act.extras?.paused;
    if (paused == null) return;
    for (const thread of paused) this.router.control(thread, 'resume', act.id);
    if (act.extras !== null) act.extras.paused = null;
  }

  // Asks.

  /** An ask that has just come. Its deadline runs here too, so that a definite answer can be given. Undefined: it is over. */
  ask(from: number, id: number, remainingMs: number, chain: readonly string[] | null): Call | undefined {
    const call = this.unarmed(from, id, chain);
    if (remainingMs > 0) {
      this.adopt(call, remainingMs);
      return call;
    }
    this.host.fail(call, quickError('DEADLINE', 'the deadline passed on the way to another thread; it was not run'));
    return undefined;
  }

  /** This thread has it from now on. */
  adopt(call: Call, remainingMs: number): void {
    this.host.expect(call, remainingMs);
    const place = call.id & placeMask;
    const calls = this.calls[call.peer] ?? [];
    this.calls[call.peer] = calls;
    while (calls.length <= place) calls.push(undefined);
    calls[place] = call;
  }

  unarmed(from: number, id: number, chain: readonly string[] | null): Call {
    const call = new Call(nothing, nothing, true);
    call.peer = from;
    call.id = id;
    call.chain = chain;
    return call;
  }

  /** An arrived ask that is somebody else's now, or nobody's: nothing here will answer it. */
  silence(call: Call): void {
    call.state = ended;
    this.host.settled(call);
  }

  /** The asker has given up: say whether the turn ever began, and do not begin it any more. */
  verdict(from: number, id: number): void {
    if (this.router.gateway?.relays.abort(from, id) === true) return;
    const call = this.calls[from]?.[id & placeMask];
    if (call === undefined || call.id !== id || this.router.moves.calls.isShipped(call)) return;
    if (call.state === waiting)
      this.host.fail(
        call,
        quickError('DEADLINE', `aborted before its turn in ${call.act?.id ?? 'the actor'}; it was not run`, {
          details: { aborted: true },
        }),
      );
    else if (call.state === started) this.router.started(call);
  }

  answer(call: Asker, value: unknown): void {
    const { wire } = this.router;
    this.router.toPeer(call.peer, () => {
      try {
        return wire.answer(call.peer, call.id, value);
      } catch (error) {
        return wire.refuse(call.peer, call.id, toWireError(unanswerable(error)));
      }
    });
  }

  describe(): object {
    return { early: this.early.length };
  }
}

function nothing(): void {
  // An arrived call answers with a frame.
}
