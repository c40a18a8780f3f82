// What a persisted actor says, and when it may leave: the output gate around its turns. The other half of persistence.ts,
// which does the storing; gate.ts keeps the books.
//
// Intuition: words are held until the state they rest on is durable. In the synchronous part of a turn they wait for its
// end (or its first await), because only then is it known which state that is.
//
//      turn ──tell──▶ held ──end or await──▶ savePoint() ──▶ behind the write ──durable──▶ leaves
//                                               └── refused ──▶ dead letter, failed ask
//
// Invariant: what leaves is what was said when it was said; a refused write takes along everything that was held behind it.

import { describeThrown, type TroupeError } from '../errors.ts';
import type { Activation } from './activation.ts';
import type { Call } from './call.ts';
import type { Gate, HeldOutput } from './gate.ts';
import type { Host } from './host.ts';
import { argumentsOf } from './messages.ts';
import { type BaseRef, TYPE } from './refs.ts';

export abstract class OutputGate {
  protected readonly host: Host;

  constructor(host: Host) {
    this.host = host;
  }

  protected abstract gateOf(act: Activation): Gate;
  /** Hands the state to storage if it differs from what was handed in last. Throws what cannot be encoded. */
  protected abstract savePoint(act: Activation, gate: Gate): void;
  /** What was to be stored was not: its outputs fail with the reason, and memory goes back to what is stored. */
  protected abstract refuse(
    act: Activation,
    gate: Gate,
    ticket: number | null,
    error: unknown,
    call: Call | null,
  ): void;

  /** The end of a turn of a persisted actor: store what changed, then let its outputs follow. */
  turnEnded(act: Activation, call: Call | null, result: unknown, mayHaveChanged: boolean): void {
    const gate = this.gateOf(act);
    // Before the state is stored: the answer of an operation done once belongs to the same commit.
    const opId = call?.extra?.opId;
    const joined = opId === undefined ? [] : (act.extras?.answered?.finish(opId, result) ?? []);
    try {
      if (mayHaveChanged) this.savePoint(act, gate);
    } catch (error) {
      // The state cannot be encoded: nothing of this turn may leave, and the next turn must not build on it.
      this.refuse(act, gate, null, error, call);
      for (const each of joined) this.host.fail(each, error);
      return;
    }
    this.flushHeld(gate);
    for (const each of call === null ? joined : [call, ...joined]) this.answerBehind(act, each, result);
  }

  /** An answer that leaves behind every write handed in so far, and is by then what it is now. `answer`: how it leaves. */
  answerBehind(
    act: Activation,
    call: Call,
    result: unknown,
    answer: (result: unknown) => void = kept => this.host.answer(call, kept),
  ): void {
    const gate = this.gateOf(act);
    if (gate.isClear) {
      answer(result);
      return;
    }
    try {
      const kept = this.keep(result);
      gate.pass({ send: () => answer(kept), refuse: error => this.host.fail(call, error) });
    } catch (error) {
      this.host.fail(call, error);
    }
  }

  /** A turn has failed and its actor goes on with the state it left: that is stored, then its outputs and its error follow. */
  turnFailed(act: Activation, call: Call | null, error: TroupeError): void {
    const gate = this.gateOf(act);
    const fail = (): void => {
      if (call !== null) this.host.fail(call, error);
    };
    try {
      this.savePoint(act, gate);
    } catch (cause) {
      fail();
      this.refuse(act, gate, null, cause, null);
      return;
    }
    this.flushHeld(gate);
    gate.pass({ send: fail, refuse: fail });
  }

  /** A turn has failed and takes its actor's memory along: what it has said and appended since its last await is not said. */
  turnUndone(act: Activation, error: TroupeError): void {
    const gate = act.extras?.gate;
    if (gate == null) return;
    gate.events = [];
    for (const output of gate.held.splice(0)) output.refuse(error);
  }

  /** The synchronous part of a turn is over, it awaits something: outputs so far may not wait for its end. */
  turnSuspended(act: Activation): void {
    const gate = act.extras?.gate;
    if (gate == null || (gate.held.length === 0 && gate.events.length === 0)) return;
    try {
      this.savePoint(act, gate);
    } catch (error) {
      this.refuse(act, gate, null, error, null);
      return;
    }
    this.flushHeld(gate);
  }

  protected flushHeld(gate: Gate): void {
    for (const output of gate.held.splice(0)) gate.pass(output);
  }

  /** A promise only for a receiver whose full mailbox makes its senders wait; what is refused late is a dead letter. */
  gateTell(act: Activation, ref: BaseRef, code: number, a0: unknown, a1: unknown): Promise<void> | undefined {
    const [k0, k1] = [this.keep(a0), this.keep(a1)];
    if (ref[TYPE].spec.overflow === 'reject') {
      this.hold(act, this.lateTell(act, ref, code, k0, k1));
      return undefined;
    }
    const sent = new Promise<void>((done, failed) => {
      this.hold(act, this.lateTell(act, ref, code, k0, k1, done, failed));
    });
    // Its sender need not look at it.
    sent.catch(() => undefined);
    return sent;
  }

  private lateTell(
    act: Activation,
    ref: BaseRef,
    code: number,
    a0: unknown,
    a1: unknown,
    done: () => void = () => undefined,
    failed: (error: unknown) => void = () => undefined,
  ): HeldOutput {
    const refuse = (error: unknown): void => {
      const why = describeThrown(error).message;
      this.host.deadLetter(ref.toString(), ref[TYPE].nameOf(code >>> 2), argumentsOf(code, a0, a1), why);
      failed(error);
    };
    const send = (): void => {
      try {
        const waits = this.host.send(ref, code, a0, a1, act);
        if (waits === undefined) done();
        else waits.then(done, failed);
      } catch (error) {
        refuse(error);
      }
    };
    return { send, refuse };
  }

  /** Lets an output go behind the state it rests on: that of now, or that of the end of the turn's synchronous part. */
  hold(act: Activation, output: HeldOutput): void {
    const gate = this.gateOf(act);
    if (this.host.current === act) {
      gate.held.push(output);
      return;
    }
    this.savePoint(act, gate);
    gate.pass(output);
  }

  gateAsk(act: Activation, call: Call, ref: BaseRef, code: number, a0: unknown, a1: unknown): void {
    const gate = this.gateOf(act);
    try {
      const [k0, k1] = [this.keep(a0), this.keep(a1)];
      this.savePoint(act, gate);
      this.flushHeld(gate);
      const send = (): void => this.host.redispatch(ref, call, code, k0, k1);
      gate.pass({ send, refuse: error => this.host.fail(call, error) });
    } catch (error) {
      this.host.fail(call, error);
    }
  }

  /** What waits at the gate must stay what it was when it was said: the actor's next turn may change the object. */
  private keep(value: unknown): unknown {
    return typeof value === 'object' && value !== null ? this.host.codec.cloneThroughWire(value) : value;
  }
}
