// One read on its way through the replicas of a key: when are there enough answers, what do they say together, and which
// replicas are behind?
//
// Intuition: answers are sibling sets, and sets are joined, so "the newest" needs no vote. r answers settle what the client
// is told; the rest still arrives and is joined too, because a repair should know all N before it says who is stale.
// "Nothing there" is an answer like any other: the join with nothing.
//
// Invariant: reading makes no dots. What is repaired is the joined set itself, so a repair can only add knowledge.
// Room is left for digests: a replica may later answer with the hash of its clock instead of the set.

import type { TroupeError } from '../errors.ts';
import { sameSet, sync } from './dvv.ts';
import { QuorumCount } from './quorum-count.ts';
import type { SiblingSet } from './sibling.ts';
import { lastWriter } from './vnode.ts';
import { type QuorumPlan, quorumFailure, type Verdict } from './write-quorum.ts';

const nothing: SiblingSet = new Map();

export class ReadQuorum {
  private readonly count: QuorumCount;
  private readonly deadline: number;
  private readonly siblings: boolean;
  private readonly sets: (SiblingSet | undefined)[] = [];
  private errors: { readonly slot: number; readonly error: TroupeError }[] | undefined;
  private late = false;

  /** `siblings: false`: of concurrent values only the last writer's is kept. */
  constructor({ nodes, wanted, deadline }: QuorumPlan, siblings = true) {
    this.count = new QuorumCount(nodes, wanted);
    this.deadline = deadline;
    this.siblings = siblings;
  }

  get verdict(): Verdict {
    return this.count.verdict;
  }

  /** Different nodes that have answered. */
  get replies(): number {
    return this.count.acks;
  }

  /** True once every replica has answered or failed: nothing more will be learnt. */
  get settled(): boolean {
    return this.count.settled;
  }

  /** What a replica holds; undefined when it holds nothing. */
  onSet(slot: number, set: SiblingSet | undefined): Verdict {
    if (this.count.ack(slot)) this.sets[slot] = set ?? nothing;
    return this.verdict;
  }

  onError(slot: number, error: TroupeError): Verdict {
    if (this.count.fail(slot)) this.errors = [...(this.errors ?? []), { slot, error }];
    return this.verdict;
  }

  tick(now: number): Verdict {
    if (now >= this.deadline && this.verdict === 'pending') {
      this.late = true;
      this.count.expire();
    }
    return this.verdict;
  }

  hasAnswered(slot: number): boolean {
    return this.sets[slot] !== undefined;
  }

  /** All answers so far, joined. */
  merged(): SiblingSet {
    let all = nothing;
    for (const set of this.sets) if (set !== undefined) all = sync(all, set);
    return this.siblings ? all : lastWriter(all);
  }

  /** Slots whose answer was behind (or absent, or held values that lost): they should be sent `merged()`. */
  stale(): number[] {
    const all = this.merged();
    return this.count.slotsWhere(slot => {
      const set = this.sets[slot];
      return set !== undefined && !sameSet(set, all);
    });
  }

  /** A read changes nothing, so its failure is always a definite one. */
  failure(): TroupeError {
    return quorumFailure('r', this.count, this.errors ?? [], this.late, 'failed');
  }
}
