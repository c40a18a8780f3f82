// How many of a key's replicas have answered, as far as a quorum is concerned: nodes, not answers. A node that answers
// twice, or that stands in for a second replica, counts once (A-41, reliability.md B9).
//
//     slots   0:n1  1:n2  2:n2 (fallback)      n2's two slots share one voice
//
// Intuition: three bit sets over the slots of the preference list. The quorum is reached when enough different nodes are
// in `acked`, and out of reach when even all the open ones together would not do; nobody waits for a deadline then.
//
// Invariant: a verdict is final. Slots are counted when they settle for the first time and never again.
// Nothing is allocated for a single replica but this object: n = 1 is the common embedded case.

import type { Verdict } from './write-quorum.ts';

export class QuorumCount {
  readonly nodes: readonly string[];
  readonly wanted: number;
  verdict: Verdict = 'pending';
  private acked = 0;
  private failed = 0;

  constructor(nodes: readonly string[], wanted: number) {
    this.nodes = nodes;
    this.wanted = wanted;
    this.judge();
  }

  /** True when the slot had not settled before. */
  ack(slot: number): boolean {
    if (!this.isOpen(slot)) return false;
    this.acked |= 1 << slot;
    this.judge();
    return true;
  }

  fail(slot: number): boolean {
    if (!this.isOpen(slot)) return false;
    this.failed |= 1 << slot;
    this.judge();
    return true;
  }

  isOpen(slot: number): boolean {
    return slot >= 0 && slot < this.nodes.length && ((this.acked | this.failed) & (1 << slot)) === 0;
  }

  hasAcked(slot: number): boolean {
    return (this.acked & (1 << slot)) !== 0;
  }

  /** Different nodes that have acknowledged. */
  get acks(): number {
    return this.differentNodes(this.acked);
  }

  /** Different nodes there are at all. */
  get available(): number {
    return this.differentNodes((1 << this.nodes.length) - 1);
  }

  /** True once no slot is open. */
  get settled(): boolean {
    return (this.acked | this.failed) === (1 << this.nodes.length) - 1;
  }

  slotsWhere(holds: (slot: number) => boolean): number[] {
    return this.nodes.map((_, slot) => slot).filter(holds);
  }

  /** Time is up: what has not been reached is not waited for. */
  expire(): void {
    if (this.verdict === 'pending') this.verdict = 'failed';
  }

  private judge(): void {
    if (this.verdict !== 'pending') return;
    if (this.acks >= this.wanted) this.verdict = 'done';
    else if (this.differentNodes(((1 << this.nodes.length) - 1) & ~this.failed) < this.wanted) this.verdict = 'failed';
  }

  private differentNodes(slots: number): number {
    if ((slots & (slots - 1)) === 0) return slots === 0 ? 0 : 1;
    let count = 0;
    for (let slot = 0; slot < this.nodes.length; slot++) {
      if ((slots & (1 << slot)) !== 0 && !this.seenBefore(slots, slot)) count++;
    }
    return count;
  }

  private seenBefore(slots: number, slot: number): boolean {
    for (let before = 0; before < slot; before++) {
      if ((slots & (1 << before)) !== 0 && this.nodes[before] === this.nodes[slot]) return true;
    }
    return false;
  }
}
