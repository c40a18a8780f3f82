// What becomes of the asks and tells of a session that has ended: by what is known of their frames.
//
// Invariant: what never left is refused and may be sent again; what may have arrived is unknown; a tell of which neither is told to
// anybody else is a dead letter.

import { quickError, TroupeError } from '../../errors.ts';
import type { Call } from '../call.ts';
import type { FarRouter } from '../far-router.ts';
import type { FarPlace } from '../far-wire.ts';
import { Frame, frameAsk, frameTell } from '../frame.ts';
import { readHeader } from '../frame-header.ts';
import type { Remains } from '../links/remains.ts';

export class LostAsks {
  readonly #router: FarRouter;
  readonly #name: string;
  readonly #neverLeft: ReadonlySet<number>;
  readonly #lost: readonly Call[];

  /** Before the peer dies: it knows what waits. */
  constructor(router: FarRouter, number: number, name: string, { unsent, unknown }: Remains) {
    this.#router = router;
    this.#name = name;
    this.#neverLeft = this.#asksIn(unsent, 'had not left when the link broke');
    this.#asksIn(unknown, 'were on their way when the link broke, and may have arrived');
    const { pending } = router;
    this.#lost = [...pending.all()].filter(call => call.peer === number && pending.wasSent(call));
  }

  /** The asks among them, whose askers are told; of the tells nobody else would hear. */
  #asksIn(frames: readonly Uint8Array[], why: string): Set<number> {
    const asks = new Set<number>();
    const frame = new Frame<FarPlace>();
    let tells = 0;
    for (const bytes of frames) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      readHeader(frame, bytes, view, 0, bytes.length);
      if (frame.kind === frameAsk) asks.add(frame.callId);
      else if (frame.kind === frameTell) tells++;
    }
    if (tells > 0) this.#router.host.deadLetter(`actors on node ${this.#name}`, '?', [], `${tells} messages ${why}`);
    return asks;
  }

  end(): void {
    const { host, pending } = this.#router;
    const details = { node: this.#name };
    for (const call of this.#lost) {
      pending.drop(call);
      const to = call.to?.toString() ?? 'the actor';
      host.fail(
        call,
        this.#neverLeft.has(call.id)
          ? quickError('OVERLOADED', `the link to node ${this.#name} broke; ${to} was not sent the message`, {
              details,
            })
          : new TroupeError(
              'UNKNOWN_OUTCOME',
              `${to} is on node ${this.#name}, to which the link broke; the message may have run`,
              { details },
            ),
      );
    }
  }
}
