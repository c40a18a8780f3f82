// What the state of the ring and the movement of data say to each other. The cluster calls the hooks; the handoff calls the
// cluster (`handOn`, `ringStored`, `isUp`, `effectiveRing`).
//
//     a partition changes hands, on whichever node, in one go:   before ─▶ route ─▶ say 'handed' ─▶ after
//
// Without hooks nothing moves: what a claim wishes stays pending, with its reason.

import type { Change } from '../ownership/holdings.ts';

export interface HandoffHooks {
  /** Routes are still the old ones. `from` and `to` are the same when this node has missed a way there and back. */
  before(changes: readonly Change[]): void;
  /** Routes are the new ones, and every linked node has been sent them. */
  after(changes: readonly Change[]): void;
  /** That node knows by now how often each partition has changed hands; -1: it did not say. */
  heard?(node: string, turnOf: (partition: number) => number): void;
  /** The ring, a member or a link has changed: look whether there is something to hand on. */
  ringChanged(): void;
  /** Of the partitions that this node gives away. */
  status(): readonly TransferStatus[];
}

export type TransferPhase = 'pending' | 'copying' | 'catching-up' | 'frozen' | 'committed';

/** A row of `node.cluster.transfers()`. */
export interface TransferStatus {
  readonly partition: number;
  readonly from: string;
  readonly to: string;
  readonly phase: TransferPhase;
  readonly bytes: number;
  readonly records: number;
  readonly etaMs: number | null;
  /** What it waits for; null: nothing. */
  readonly why: string | null;
}
