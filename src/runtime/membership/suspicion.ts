// From silence to `down`, in two levels.
//
//      up ──phi above threshold──▶ suspect (here only) ──report gossiped──▶ 2 distinct reporters ──▶ down (everywhere)
//       ▲                             │                                                                │
//       └───────── a later heartbeat or incarnation ◀──────────────────────────────────────────────────┘
//
// One node that hears nothing may be the one that is cut off; it routes around the silent one and says so. Where nobody else is
// left to ask, the direct probe that fails is the second source.
//
// Invariant: a report counts only until it expires, and only at the heartbeat it was made at (member.ts drops it otherwise).

import type { Millis } from '../world.ts';
import type { MemberRecord } from './member.ts';

export const reportersNeeded = 2;

/** When each reporter's latest word ends, by the clock of this node: times of other machines mean nothing here. */
export class ReportExpiry {
  /** None at most times: a node keeps one of these for every member. */
  #until: Map<string, { seq: number; until: Millis }> | undefined;

  noted(record: MemberRecord, validMs: Millis, now: Millis): void {
    for (const { by, seq } of record.suspicions) {
      this.#until ??= new Map();
      if (seq > (this.#until.get(by)?.seq ?? -1)) this.#until.set(by, { seq, until: now + validMs });
    }
  }

  clear(): void {
    this.#until = undefined;
  }

  /** Distinct reporters whose word holds. The suspect itself is no witness. */
  reporters(record: MemberRecord, now: Millis): string[] {
    return record.suspicions
      .filter(({ by }) => by !== record.name && (this.#until?.get(by)?.until ?? 0) > now)
      .map(({ by }) => by);
  }
}

export interface Evidence {
  readonly suspect: boolean;
  readonly reporters: number;
  /** Members that could be asked: neither this node nor the suspect, and not known to be down. */
  readonly others: number;
  /** A ping sent after the suspicion was not answered in time. */
  readonly probeFailed: boolean;
}

export function verdict({ suspect, reporters, others, probeFailed }: Evidence): 'alive' | 'suspect' | 'down' {
  if (reporters >= reportersNeeded) return 'down';
  if (!suspect) return 'alive';
  return others === 0 && probeFailed ? 'down' : 'suspect';
}
