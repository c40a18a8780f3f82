// How an ask that went to another thread or node ends, on the side of its asker: by an answer, a refusal, or a word about whether its
// turn ever began.
//
// Invariant: an ask ends exactly once; what was never sent ends as failed, what was begun and not answered as unknown.

import { fromWireError, quickError, TroupeError, type WireError } from '../errors.ts';
import type { Call } from './call.ts';
import { abortedAsk } from './delivery.ts';
import type { FarRouter } from './far-router.ts';

export class FarOutcomes {
  private readonly router: FarRouter;

  constructor(router: FarRouter) {
    this.router = router;
  }

  verdict(call: Call, aborted: boolean): void {
    // A deadline runs over there, too: the word about it is on its way, and asking for it would only fill the link.
    if (this.router.pending.wasSent(call)) {
      if (!aborted) return;
      this.router.control(call.peer, 'verdict', call.id);
      // It went along with its actor, and whoever has that now knows.
      if (call.peer === this.router.host.thread) this.router.broadcast('verdict', call.id);
    } else {
      const signal = call.extra?.aborted;
      const why = `given up before it was sent to ${call.to?.toString() ?? 'its actor'}; it was not run`;
      this.router.host.fail(call, signal === undefined ? quickError('DEADLINE', why) : abortedAsk(call, false, signal));
    }
  }

  /** It has ended here, and its answer may come yet. */
  forget(call: Call): void {
    const { pending, host } = this.router;
    // It went along with its actor: whoever had it last may have died, and the answer with him.
    if (call.peer === host.thread) pending.drop(call);
    else pending.forget(call);
  }

  onAnswer(id: number, value: unknown): void {
    const call = this.router.pending.take(id);
    if (call !== undefined) this.router.host.answer(call, value);
  }

  onRefused(id: number, error: WireError): void {
    const call = this.router.pending.take(id);
    if (call === undefined) return;
    const signal = call.extra?.aborted;
    const failure = fromWireError(error);
    // The receiver's word on an aborted ask: why it was, only its asker knows.
    const isWord = failure.code === 'DEADLINE' && failure.details.aborted === true;
    this.router.host.fail(call, signal !== undefined && isWord ? abortedAsk(call, false, signal) : failure);
  }

  onStarted(id: number): void {
    const call = this.router.pending.at(id);
    if (call === undefined) return;
    const signal = call.extra?.aborted;
    const why = `${call.to?.toString() ?? 'the actor'} had begun its turn but gave no answer within the deadline`;
    this.router.host.fail(
      call,
      signal === undefined ? new TroupeError('UNKNOWN_OUTCOME', why) : abortedAsk(call, true, signal),
    );
  }
}
