// The old owner's side of a move, from the freeze to the verdict.
//
//   freezing --frozen--> packing --packed--> shipping --all acknowledged--> sealed
//       \___________________\___________________\____ timeout or failure ____\--> asking
//
// The intuition: the source keeps everything until the directory has spoken. It may ask for the end of a move, but it never
// ends one by itself: the switch may have been committed a moment ago, and then a source that runs again would be a second
// owner. So from every state only the directory's word leads out: `thaw` (go on, under a fresh epoch) or `moved` (you are
// history, relocation-tombstone.ts).
//
// Invariant: between pack and verdict no message is delivered here; each is kept, in order of arrival, or refused.

import type { AbortReason, Epoch, HostEffect, HostId, RelocationLimits, Unit } from './relocation-messages.ts';
import type { Piece } from './relocation-pieces.ts';
import type { Millis } from './world.ts';

export type SourceState = 'freezing' | 'packing' | 'shipping' | 'sealed' | 'asking';

export interface SourceFacts {
  readonly unit: Unit;
  readonly epoch: Epoch;
  readonly to: HostId;
  readonly directory: HostId;
}

export interface Late<P> {
  readonly from: HostId;
  readonly payload: P;
}

export type SourceInput<P> =
  | { readonly type: 'frozen' }
  | { readonly type: 'packed'; readonly pieces: readonly Piece[]; readonly messages: number }
  | { readonly type: 'pack-failed' }
  | { readonly type: 'piece-ok'; readonly count: number }
  | { readonly type: 'arrive'; readonly from: HostId; readonly payload: P }
  | { readonly type: 'tick' };

export class SourceMove<P> {
  readonly kind = 'source';
  readonly unit: Unit;
  readonly epoch: Epoch;
  readonly to: HostId;
  readonly frozenAt: Millis;
  readonly late: Late<P>[] = [];
  shipped = 0;
  state: SourceState = 'freezing';
  /** When to stop waiting for the step this state is in; nothing is awaited but the verdict once the directory was asked. */
  deadlineAt: Millis;

  readonly #directory: HostId;
  readonly #limits: RelocationLimits;
  #packing = false;
  #pieces: readonly Piece[] = [];
  #sent = 0;
  #acknowledged = 0;

  constructor(facts: SourceFacts, limits: RelocationLimits, now: Millis) {
    this.unit = facts.unit;
    this.epoch = facts.epoch;
    this.to = facts.to;
    this.#directory = facts.directory;
    this.#limits = limits;
    this.frozenAt = now;
    this.deadlineAt = now + limits.turnMs;
  }

  begin(): HostEffect<P>[] {
    return [{ type: 'freeze', unit: this.unit, epoch: this.epoch }];
  }

  step(input: SourceInput<P>, now: Millis): HostEffect<P>[] {
    switch (input.type) {
      case 'arrive':
        return this.#onArrive(input.from, input.payload);
      case 'frozen':
        return this.state === 'freezing' ? this.becomePacking(now) : [];
      case 'packed':
        return this.state === 'packing' ? this.becomeShipping(input.pieces, input.messages, now) : [];
      case 'pack-failed':
        return this.state === 'packing' ? this.becomeAsking('pack-failed') : [];
      case 'piece-ok':
        return this.state === 'shipping' ? this.#onPieceOk(input.count, now) : [];
      case 'tick':
        return now >= this.deadlineAt ? this.#onOverdue() : [];
    }
  }

  /** The runtime may be reading the mailbox from the moment it was asked to pack: what comes later must not slip in. */
  #onArrive(from: HostId, payload: P): HostEffect<P>[] {
    const { unit } = this;
    if (!this.#packing) return [{ type: 'deliver', unit, from, payload, accepted: false }];
    if (this.late.length >= this.#limits.lateMax) return [{ type: 'refuse', unit, from, payload, by: 'late' }];
    this.late.push({ from, payload });
    return [];
  }

  #onPieceOk(count: number, now: Millis): HostEffect<P>[] {
    if (count <= this.#acknowledged) return [];
    this.#acknowledged = count;
    if (count === this.#pieces.length) return this.becomeSealed(now);
    this.deadlineAt = now + this.#limits.silenceMs;
    return this.#sendPieces();
  }

  #sendPieces(): HostEffect<P>[] {
    const { unit, epoch, to } = this;
    const until = Math.min(this.#pieces.length, this.#acknowledged + this.#limits.piecesInFlight);
    const effects: HostEffect<P>[] = [];
    for (; this.#sent < until; this.#sent++) {
      const piece = this.#pieces[this.#sent] as Piece;
      effects.push({ type: 'send', to, message: { type: 'piece', unit, epoch, piece } });
    }
    return effects;
  }

  #onOverdue(): HostEffect<P>[] {
    switch (this.state) {
      case 'freezing':
        return this.becomeAsking('turn-timeout');
      case 'packing':
        return this.becomeAsking('pack-timeout');
      case 'shipping':
        return this.becomeAsking('ship-timeout');
      case 'sealed':
        return this.becomeAsking('install-timeout');
      case 'asking':
        return [];
    }
  }

  becomePacking(now: Millis): HostEffect<P>[] {
    this.state = 'packing';
    this.#packing = true;
    this.deadlineAt = now + this.#limits.packMs;
    return [{ type: 'pack', unit: this.unit, epoch: this.epoch }];
  }

  becomeShipping(pieces: readonly Piece[], messages: number, now: Millis): HostEffect<P>[] {
    this.state = 'shipping';
    this.#pieces = pieces;
    this.shipped = messages;
    this.deadlineAt = now + this.#limits.silenceMs;
    return this.#sendPieces();
  }

  becomeSealed(now: Millis): HostEffect<P>[] {
    this.state = 'sealed';
    this.#pieces = [];
    // The target's own bound comes first, then its word has to travel.
    this.deadlineAt = now + this.#limits.installMs + this.#limits.silenceMs;
    return [];
  }

  becomeAsking(reason: AbortReason): HostEffect<P>[] {
    this.state = 'asking';
    this.#pieces = [];
    this.deadlineAt = Number.POSITIVE_INFINITY;
    const { unit, epoch } = this;
    return [{ type: 'send', to: this.#directory, message: { type: 'abort', unit, epoch, reason } }];
  }

  /** The verdict was: go on here. What was kept was accepted when it came, so it goes in even over the mailbox's bound. */
  thaw(fresh: Epoch): HostEffect<P>[] {
    const { unit } = this;
    const kept = this.late.map(
      ({ from, payload }): HostEffect<P> => ({ type: 'deliver', unit, from, payload, accepted: true }),
    );
    return [{ type: 'thaw', unit, epoch: fresh }, ...kept];
  }

  describe(): object {
    const { unit, epoch, to, state, shipped } = this;
    const pieces = { sent: this.#sent, acknowledged: this.#acknowledged, count: this.#pieces.length };
    return { role: this.kind, unit, epoch, to, state, shipped, late: this.late.length, pieces };
  }
}
