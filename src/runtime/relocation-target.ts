// The new owner's side of a move, from the reservation to the verdict.
//
//   reserving --reserved--> receiving --last piece--> installing --restored--> installed
//        \______________________\_______________________\___ failure or timeout: abort, discard, gone
//
// The intuition: until it has said `installed` the target may give up by itself, for the directory commits nothing without
// that word. Once it has said it, the switch may have happened, so then it waits for the directory and for nothing else.
//
// Invariant: nothing runs here before `moved`. User messages for the new epoch that come earlier wait in the route.

import type {
  AbortReason,
  Epoch,
  HostEffect,
  HostId,
  InstallFailure,
  RelocationLimits,
  Unit,
} from './relocation-messages.ts';
import { Assembly, type Checksum, type Piece } from './relocation-pieces.ts';
import type { Millis } from './world.ts';

export type TargetState = 'reserving' | 'receiving' | 'installing' | 'installed' | 'gone';

export interface TargetFacts {
  readonly unit: Unit;
  readonly epoch: Epoch;
  readonly from: HostId;
  readonly directory: HostId;
}

export type TargetInput =
  | { readonly type: 'reserved' }
  | { readonly type: 'reserve-refused' }
  | { readonly type: 'piece'; readonly piece: Piece }
  | { readonly type: 'restored' }
  | { readonly type: 'restore-failed'; readonly reason: InstallFailure }
  | { readonly type: 'cancel' }
  | { readonly type: 'tick' };

export class TargetMove<P> {
  readonly kind = 'target';
  readonly unit: Unit;
  readonly epoch: Epoch;
  readonly from: HostId;
  state: TargetState = 'reserving';
  deadlineAt: Millis;
  readonly #directory: HostId;
  readonly #limits: RelocationLimits;
  readonly #assembly: Assembly;

  constructor(facts: TargetFacts, limits: RelocationLimits, checksum: Checksum, now: Millis) {
    this.unit = facts.unit;
    this.epoch = facts.epoch;
    this.from = facts.from;
    this.#directory = facts.directory;
    this.#limits = limits;
    this.#assembly = new Assembly(checksum, limits.piecesMax);
    this.deadlineAt = now + limits.reserveMs;
  }

  begin(): HostEffect<P>[] {
    return [{ type: 'reserve', unit: this.unit, epoch: this.epoch, from: this.from }];
  }

  step(input: TargetInput, now: Millis): HostEffect<P>[] {
    switch (input.type) {
      case 'reserved':
        return this.state === 'reserving' ? this.becomeReceiving(now) : [];
      case 'reserve-refused':
        return this.state === 'reserving' ? this.#giveUp('no-room') : [];
      case 'piece':
        return this.state === 'receiving' ? this.#onPiece(input.piece, now) : [];
      case 'restored':
        return this.state === 'installing' ? this.becomeInstalled() : [];
      case 'restore-failed':
        return this.state === 'installing' ? this.#giveUp(input.reason) : [];
      case 'cancel':
        return this.becomeGone();
      case 'tick':
        return now >= this.deadlineAt ? this.#onOverdue() : [];
    }
  }

  #onPiece(piece: Piece, now: Millis): HostEffect<P>[] {
    const { unit, epoch, from } = this;
    const verdict = this.#assembly.add(piece);
    if (verdict === 'damaged') return this.#giveUp('damaged');
    this.deadlineAt = now + this.#limits.silenceMs;
    const count = this.#assembly.pieces.length;
    const ok: HostEffect<P> = { type: 'send', to: from, message: { type: 'piece-ok', unit, epoch, count } };
    return verdict === 'more' ? [ok] : [ok, ...this.becomeInstalling(now)];
  }

  #onOverdue(): HostEffect<P>[] {
    switch (this.state) {
      case 'reserving':
        return this.#giveUp('no-room');
      case 'receiving':
        return this.#giveUp('silent');
      case 'installing':
        return this.#giveUp('install-timeout');
      case 'installed':
      case 'gone':
        return [];
    }
  }

  #giveUp(reason: AbortReason): HostEffect<P>[] {
    const { unit, epoch } = this;
    const word: HostEffect<P> = { type: 'send', to: this.#directory, message: { type: 'abort', unit, epoch, reason } };
    return [...this.becomeGone(), word];
  }

  becomeReceiving(now: Millis): HostEffect<P>[] {
    const { unit, epoch } = this;
    this.state = 'receiving';
    // The first piece comes after the source's turns have ended and it has packed.
    this.deadlineAt = now + this.#limits.turnMs + this.#limits.packMs + this.#limits.silenceMs;
    return [{ type: 'send', to: this.#directory, message: { type: 'reserved', unit, epoch } }];
  }

  becomeInstalling(now: Millis): HostEffect<P>[] {
    const { unit, epoch } = this;
    this.state = 'installing';
    this.deadlineAt = now + this.#limits.installMs;
    return [{ type: 'install', unit, epoch, pieces: this.#assembly.pieces }];
  }

  becomeInstalled(): HostEffect<P>[] {
    const { unit, epoch } = this;
    this.state = 'installed';
    this.deadlineAt = Number.POSITIVE_INFINITY;
    return [{ type: 'send', to: this.#directory, message: { type: 'installed', unit, epoch } }];
  }

  becomeGone(): HostEffect<P>[] {
    this.state = 'gone';
    this.deadlineAt = Number.POSITIVE_INFINITY;
    return [{ type: 'discard', unit: this.unit, epoch: this.epoch }];
  }

  describe(): object {
    const { unit, epoch, from, state } = this;
    return { role: this.kind, unit, epoch, from, state, pieces: this.#assembly.describe() };
  }
}
