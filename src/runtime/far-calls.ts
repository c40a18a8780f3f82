// Asks that travel between threads inside moves and detours: as plain data, and back. An ask stays its asker's wherever it
// goes; the thread that has it last answers it straight to the asker's.
//
//      mailbox ──packed──▶ shipped, nobody judges it ──moved──▶ the new owner's: silent here
//                                  └── called off ──▶ in the mailbox as before, its deadline running again
//
// Invariant: of all copies of an ask exactly one is armed: only that one may run it or say that it was not run.

import { TroupeError } from '../errors.ts';
import type { Activation } from './activation.ts';
import { type Call, ended } from './call.ts';
import type { FarMessage } from './far-moves.ts';
import type { FarRouter } from './far-router.ts';
import { argumentsOf } from './messages.ts';
import type { CallShipping } from './moves.ts';
import type { Unit } from './relocation-messages.ts';
import { weigh } from './weight.ts';

/** A message as plain data. */
export interface ExportedMessage {
  readonly method: string;
  readonly args: readonly unknown[];
  readonly call: ExportedCall | -1;
}

type ExportedCall = readonly [
  thread: number,
  id: number,
  /** -1: no deadline. */
  remainingMs: number,
  chain: readonly string[] | null,
  opId: string | null,
];

interface ShippedOut {
  readonly call: Call;
  readonly at: number;
  readonly act: Activation | null;
}

interface ShippedIn {
  readonly call: Call;
  readonly until: number;
}

export class FarCalls {
  private readonly router: FarRouter;
  private readonly out = new Map<Unit, ShippedOut[]>();
  private readonly in = new Map<Unit, ShippedIn[]>();
  private readonly shipped = new Set<Call>();

  constructor(router: FarRouter) {
    this.router = router;
  }

  /** True while another thread may have it: nobody here knows whether it ran. */
  isShipped(call: Call): boolean {
    return this.shipped.size !== 0 && this.shipped.has(call);
  }

  // One message that goes on.

  exportMessage(message: FarMessage): ExportedMessage {
    return {
      method: String((message.code >>> 2) & 255),
      args: argumentsOf(message.code, message.a0, message.a1),
      call: message.call === null ? -1 : this.exportCall(message.call),
    };
  }

  importMessage(exported: ExportedMessage): FarMessage {
    const { head, a0, a1 } = weigh(Number(exported.method), exported.args);
    return { code: head & 1_023, a0, a1, call: exported.call === -1 ? null : this.importCall(exported.call) };
  }

  /** An ask made here becomes one that waits for an answer from elsewhere. */
  private exportCall(call: Call): ExportedCall {
    const { router } = this;
    const remainingMs = router.remaining(call);
    const left = remainingMs === Number.POSITIVE_INFINITY ? -1 : remainingMs;
    const chain = router.chainFor(call);
    const opId = call.extra?.opId ?? null;
    if (call.arrived) return [call.peer, call.id, left, chain, opId];
    if (call.peer < 0) {
      if (!router.pending.add(call)) throw new TroupeError('OVERLOADED', 'too many asks still wait for an answer');
      router.pending.markSent(call);
      call.peer = router.host.thread;
      call.act = null;
    }
    return [router.host.thread, call.id, left, chain, opId];
  }

  private importCall(exported: ExportedCall): Call {
    const [thread, id, remainingMs] = exported;
    if (thread === this.router.host.thread) return this.comeHome(id);
    const call = this.unarmed(exported);
    this.router.arrivals.adopt(call, remainingMs < 0 ? Number.POSITIVE_INFINITY : remainingMs);
    return call;
  }

  private unarmed([thread, id, , chain, opId]: ExportedCall): Call {
    const call = this.router.arrivals.unarmed(thread, id, chain);
    if (opId !== null) call.extra = { opId };
    return call;
  }

  /** Its asker lives on this very thread: it is a local ask again. */
  private comeHome(id: number): Call {
    const { pending } = this.router;
    const call = pending.at(id);
    if (call === undefined || call.state === ended) {
      if (call !== undefined) pending.drop(call);
      return this.nobodys(id);
    }
    pending.drop(call);
    call.peer = -1;
    return call;
  }

  /** In the place of an ask that has ended meanwhile: its message is not run. */
  private nobodys(id: number): Call {
    const call = this.router.arrivals.unarmed(this.router.host.thread, id, null);
    call.state = ended;
    return call;
  }

  // All that waits for an actor that moves.

  /** For the old owner. */
  shipOut(unit: Unit): CallShipping {
    const shipped: ShippedOut[] = [];
    this.out.set(unit, shipped);
    return {
      out: call => {
        // The actor's own goodbye took so long that the move was called off meanwhile, and maybe another one begun.
        if (this.out.get(unit) !== shipped) throw new TroupeError('STOPPED', `the move of ${unit} was called off`);
        const { at, act } = call;
        const exported = this.exportCall(call);
        shipped.push({ call, at, act });
        this.shipped.add(call);
        // An asker's own deadline goes on: it ends unknown. That of an arrived one is the new owner's to judge.
        if (call.arrived) this.router.host.settled(call);
        return exported;
      },
      in: () => null,
    };
  }

  /** The move was called off: they wait here as before. */
  takeBack(unit: Unit): void {
    for (const { call, at, act } of this.takeOut(unit)) {
      call.act = act;
      if (call.arrived) {
        if (call.state !== ended)
          this.router.host.expect(call, at === 0 ? Number.POSITIVE_INFINITY : at - this.router.host.now());
      } else {
        this.router.pending.drop(call);
        call.peer = -1;
      }
    }
  }

  /** The move is done: they are the new owner's. */
  giveAway(unit: Unit): void {
    for (const { call } of this.takeOut(unit)) if (call.arrived) this.router.arrivals.silence(call);
  }

  private takeOut(unit: Unit): ShippedOut[] {
    const shipped = this.out.get(unit) ?? [];
    this.out.delete(unit);
    for (const { call } of shipped) this.shipped.delete(call);
    return shipped;
  }

  /** For the new owner: none of them counts before the move is done. */
  shipIn(unit: Unit): CallShipping {
    const arrived: ShippedIn[] = [];
    this.in.set(unit, arrived);
    const now = this.router.host.now();
    return {
      out: () => -1,
      in: exported => {
        const [thread, id, remainingMs] = exported as ExportedCall;
        const home = thread === this.router.host.thread ? this.router.pending.at(id) : undefined;
        const isOurs = thread === this.router.host.thread;
        if (isOurs && home === undefined) return this.nobodys(id);
        const call = home ?? this.unarmed(exported as ExportedCall);
        arrived.push({ call, until: remainingMs < 0 ? Number.POSITIVE_INFINITY : now + remainingMs });
        return isOurs && call.state === ended ? this.nobodys(id) : call;
      },
    };
  }

  /** The move is done: they are ours. */
  takeIn(unit: Unit): void {
    const { router } = this;
    for (const { call, until } of this.takeArrived(unit)) {
      if (call.arrived) router.arrivals.adopt(call, until - router.host.now());
      else {
        // Also one that has ended meanwhile: nobody is left who would answer it.
        router.pending.drop(call);
        call.peer = -1;
      }
    }
  }

  /** The move was called off: the old owner still has them. */
  discard(unit: Unit): void {
    for (const { call } of this.takeArrived(unit)) {
      if (call.arrived) call.state = ended;
      else call.act = null;
    }
  }

  private takeArrived(unit: Unit): ShippedIn[] {
    const arrived = this.in.get(unit) ?? [];
    this.in.delete(unit);
    return arrived;
  }
}
