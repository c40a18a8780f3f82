// Messages to actors on other threads that have to wait: for room on the link, or in a mailbox. Nobody has seen them yet, so
// when their thread dies or their actor moves, they are simply sent again the way that is right by then.

import { TroupeError } from '../errors.ts';
import { type Call, ended } from './call.ts';
import type { Outgoing } from './far-peer.ts';
import type { FarRouter } from './far-router.ts';
import { unitBytes } from './mailbox.ts';
import { argumentsOf } from './messages.ts';
import { type BaseRef, TYPE } from './refs.ts';
import { unitsOf } from './weight.ts';

export class OutgoingAsk implements Outgoing {
  readonly bytes: number;
  private readonly router: FarRouter;
  private readonly thread: number;
  private readonly ref: BaseRef;
  private readonly call: Call;
  private readonly code: number;
  private readonly a0: unknown;
  private readonly a1: unknown;

  constructor(router: FarRouter, thread: number, ref: BaseRef, call: Call, code: number, a0: unknown, a1: unknown) {
    this.router = router;
    this.thread = thread;
    this.ref = ref;
    this.call = call;
    this.code = code;
    this.a0 = a0;
    this.a1 = a1;
    this.bytes = unitsOf(code, a0, a1) * unitBytes;
  }

  get to(): string {
    return this.ref.toString();
  }

  write(): boolean {
    return this.router.writeAsk(this.thread, this.ref, this.call, this.code, this.a0, this.a1);
  }

  again(isPast: boolean = false): void {
    const { router, call } = this;
    if (call.state === ended) return;
    router.pending.drop(call);
    call.peer = -1;
    if (isPast && router.held.passes(this.ref, { code: this.code, a0: this.a0, a1: this.a1, call })) return;
    router.host.redispatch(this.ref, call, this.code, this.a0, this.a1);
  }

  fail(error: TroupeError): void {
    this.router.host.fail(this.call, error);
  }
}

/**
 * A tell of somebody who was told already that it is on its way: it waits for room, whatever its receiver's policy. A promise when it
 * does. Throws OVERLOADED when too much waits.
 */
export function sendOrWait(
  router: FarRouter,
  thread: number,
  ref: BaseRef,
  code: number,
  a0: unknown,
  a1: unknown,
): Promise<void> | undefined {
  const peer = router.peers[thread];
  if (peer === undefined) throw new TroupeError('OVERLOADED', `${ref.toString()} cannot be reached for a moment`);
  if (peer.ready && !peer.isPaused(ref) && router.writeTell(thread, ref, code, a0, a1)) return undefined;
  const message = new OutgoingTell(router, thread, ref, code, a0, a1);
  if (!peer.waitForRoom(ref, message)) throw peer.overloaded(ref);
  return message.sent;
}

/** The same, wherever its actor is by now. */
export function tellSurely(router: FarRouter, ref: BaseRef, code: number, a0: unknown, a1: unknown): void {
  const thread = router.threadFor(ref);
  if (router.peers[thread] === undefined || router.isInMotionHere(ref)) void router.moves.tellSurely(ref, code, a0, a1);
  else sendOrWait(router, thread, ref, code, a0, a1);
}

/** A tell to an `overflow: 'wait'` mailbox; its sender holds the promise. */
export class OutgoingTell implements Outgoing {
  readonly sent: Promise<void>;
  readonly bytes: number;
  private readonly router: FarRouter;
  private readonly thread: number;
  private readonly ref: BaseRef;
  private readonly code: number;
  private readonly a0: unknown;
  private readonly a1: unknown;
  private done: () => void = () => undefined;
  private failed: (error: unknown) => void = () => undefined;

  constructor(router: FarRouter, thread: number, ref: BaseRef, code: number, a0: unknown, a1: unknown) {
    this.router = router;
    this.thread = thread;
    this.ref = ref;
    this.code = code;
    this.a0 = a0;
    this.a1 = a1;
    this.bytes = unitsOf(code, a0, a1) * unitBytes;
    this.sent = new Promise((done, failed) => {
      this.done = done;
      this.failed = failed;
    });
    // Who does not await a tell must not lose the thread by it: the dead letter tells.
    this.sent.catch(() => undefined);
  }

  get to(): string {
    return this.ref.toString();
  }

  write(): boolean {
    try {
      if (!this.router.writeTell(this.thread, this.ref, this.code, this.a0, this.a1)) return false;
      this.done();
    } catch (error) {
      this.fail(error as TroupeError);
    }
    return true;
  }

  again(isPast: boolean = false): void {
    if (isPast && this.router.held.passes(this.ref, { code: this.code, a0: this.a0, a1: this.a1, call: null })) {
      this.done();
      return;
    }
    // One that would be refused now had been let pass before: its sender was told that it is on its way.
    if (this.ref[TYPE].spec.overflow === 'reject') {
      this.router.held.send(this.ref, { code: this.code, a0: this.a0, a1: this.a1, call: null });
      this.done();
      return;
    }
    try {
      const waits = this.router.host.tell(this.ref, this.code, this.a0, this.a1);
      if (waits === undefined) this.done();
      else waits.then(this.done, this.failed);
    } catch (error) {
      this.fail(error as TroupeError);
    }
  }

  fail(error: TroupeError): void {
    const { code, a0, a1 } = this;
    const method = this.ref[TYPE].nameOf((code >>> 2) & 255);
    this.router.host.deadLetter(this.to, method, argumentsOf(code, a0, a1), error.message);
    this.failed(error);
  }
}
