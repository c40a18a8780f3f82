// One write on its way to the replicas of a key: when may the client be told that it is done, and if it is not, what may
// have happened?
//
//     pending ──w different nodes acknowledged──▶ done
//        └── fewer than w can still do so, or the deadline passed ──▶ failed
//
// Intuition: failing is not the opposite of writing. A failed write is not taken back; a replica that was asked and has
// not said no may have it, and repair will spread it. So the outcome is 'failed' only when every replica that was asked
// answered that it definitely did not write; in all other cases it is 'unknown'.
//
// Invariant: once the verdict is not 'pending' it never changes; later answers still count in `acks`.

import { TroupeError } from '../errors.ts';
import { QuorumCount } from './quorum-count.ts';

export type Verdict = 'pending' | 'done' | 'failed';

export interface QuorumPlan {
  /** The node of each slot of the preference list. */
  readonly nodes: readonly string[];
  /** w, or r. */
  readonly wanted: number;
  /** Monotonic time after which nobody waits. */
  readonly deadline: number;
}

export class WriteQuorum {
  private readonly count: QuorumCount;
  private readonly deadline: number;
  private asked = 0;
  private maybeWritten = 0;
  private errors: { readonly slot: number; readonly error: TroupeError }[] | undefined;
  private late = false;

  constructor({ nodes, wanted, deadline }: QuorumPlan) {
    this.count = new QuorumCount(nodes, wanted);
    this.deadline = deadline;
  }

  get verdict(): Verdict {
    return this.count.verdict;
  }

  /** Different nodes that have it. */
  get acks(): number {
    return this.count.acks;
  }

  /** The request is about to leave for this slot: from now on it may have been written there. */
  ask(slot: number): void {
    this.asked |= 1 << slot;
  }

  onAck(slot: number): Verdict {
    this.count.ack(slot);
    return this.verdict;
  }

  onError(slot: number, error: TroupeError): Verdict {
    if (this.count.fail(slot)) {
      this.errors = [...(this.errors ?? []), { slot, error }];
      if (error.outcome === 'unknown') this.maybeWritten |= 1 << slot;
    }
    return this.verdict;
  }

  tick(now: number): Verdict {
    if (now >= this.deadline && this.verdict === 'pending') {
      this.late = true;
      this.count.expire();
    }
    return this.verdict;
  }

  /** Whether the write can be somewhere. */
  get outcome(): 'failed' | 'unknown' {
    const { count } = this;
    const waitedFor = count.slotsWhere(slot => (this.asked & (1 << slot)) !== 0 && count.isOpen(slot));
    return count.acks > 0 || waitedFor.length > 0 || this.maybeWritten !== 0 ? 'unknown' : 'failed';
  }

  /** What to tell the client when the verdict is 'failed'. */
  failure(): TroupeError {
    return quorumFailure('w', this.count, this.errors ?? [], this.late, this.outcome);
  }
}

/**
 * One replica's refusal is told as it is when nothing else happened: a full disk is then DISK_FULL and a bad context
 * BAD_CONTEXT, as on a single node. Everything else is QUORUM, with who did what.
 */
export function quorumFailure(
  option: 'r' | 'w',
  count: QuorumCount,
  errors: readonly { readonly slot: number; readonly error: TroupeError }[],
  late: boolean,
  outcome: 'failed' | 'unknown',
): TroupeError {
  const first = errors[0]?.error;
  const alike = errors.every(({ error }) => error.code === first?.code);
  if (first !== undefined && alike && count.acks === 0 && count.settled) return first;
  const failed = Object.fromEntries(errors.map(({ slot, error }) => [count.nodes[slot] ?? slot, error.code]));
  const waiting = count.slotsWhere(slot => count.isOpen(slot)).map(slot => count.nodes[slot] as string);
  const details = { option, needed: count.wanted, got: count.acks, available: count.available, failed, waiting };
  const reasons = [
    ...Object.entries(failed).map(([node, code]) => `${node}: ${code}`),
    ...(late ? waiting.map(node => `${node}: no answer in time`) : []),
  ];
  const why = count.available < count.wanted ? `there are ${count.available} nodes` : reasons.join(', ');
  const message = `${option} = ${count.wanted} nodes needed, ${count.acks} answered (${why})`;
  return new TroupeError('QUORUM', message, { details, outcome });
}
