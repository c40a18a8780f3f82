// All members as one node sees them: the records everybody shares, and beside each what only this node knows.
//
//      record (gossiped)                              here only
//      incarnation, version, heartbeat, status ...    phi window, echo answered?, suspect?, probe, link, quarantine
//
// Invariant: the status shown is a function of both, computed in `statusOf` and nowhere else; an event is the difference
// between what was shown and what is to be shown, so no path can change one without the other.

import { gossipDigestsMax, gossipStatesMax, membersMax } from '../../limits.ts';
import type { Millis } from '../world.ts';
import { type Digest, digestOf, type MemberRecord } from './member.ts';
import { PhiWindow } from './phi-accrual.ts';
import { ReportExpiry } from './suspicion.ts';

/** 'joining' also stands for a member that has not answered this node yet; 'suspect' is seen here only. */
export type MemberStatus = 'joining' | 'up' | 'suspect' | 'leaving' | 'down' | 'left' | 'removed';

export interface Entry {
  record: MemberRecord;
  phi: PhiWindow;
  readonly reports: ReportExpiry;
  /** It answered this node in this life, and was not down since. */
  echoed: boolean;
  suspect: boolean;
  reportedAt: Millis;
  /** When the answer to the probe under way is overdue; undefined: none was sent. */
  probeUntil: Millis | undefined;
  probeFailed: boolean;
  linked: boolean;
  /** Round until which it goes into every message. */
  newsUntil: number;
  shown: MemberStatus | undefined;
  goneAt: Millis | undefined;
}

export class MemberTable {
  readonly #entries = new Map<string, Entry>();
  #names: string[] = [];
  #cursor = 0;

  get size(): number {
    return this.#entries.size;
  }

  get full(): boolean {
    return this.#entries.size >= membersMax;
  }

  get(name: string): Entry | undefined {
    return this.#entries.get(name);
  }

  values(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  add(record: MemberRecord, firstIntervalMs: Millis, now: Millis): Entry {
    const entry: Entry = {
      record,
      phi: new PhiWindow(firstIntervalMs, now),
      reports: new ReportExpiry(),
      echoed: false,
      suspect: false,
      reportedAt: Number.NEGATIVE_INFINITY,
      probeUntil: undefined,
      probeFailed: false,
      linked: true,
      newsUntil: 0,
      shown: undefined,
      goneAt: undefined,
    };
    this.#entries.set(record.name, entry);
    this.#names.push(record.name);
    return entry;
  }

  forget(name: string): void {
    this.#entries.delete(name);
    this.#names = this.#names.filter(each => each !== name);
  }

  /** This node, then news, then the others in turn: every member is mentioned every size / max messages. */
  digests(self: string, round: number): Digest[] {
    const chosen = new Set([self]);
    if (this.#names.length > gossipDigestsMax) {
      for (const [name, { newsUntil }] of this.#entries) {
        if (chosen.size >= gossipDigestsMax / 2) break;
        if (newsUntil > round) chosen.add(name);
      }
    }
    for (let seen = 0; seen < this.#names.length && chosen.size < gossipDigestsMax; seen++) {
      this.#cursor = (this.#cursor + 1) % this.#names.length;
      chosen.add(this.#names[this.#cursor] as string);
    }
    return [...chosen].map(name => digestOf((this.#entries.get(name) as Entry).record));
  }

  /** Records from a random place on, for somebody who knows fewer members than we do. */
  page(from: number, besides: readonly MemberRecord[]): MemberRecord[] {
    const page = new Map(besides.map(record => [record.name, record]));
    for (let seen = 0; seen < this.#names.length && page.size < gossipStatesMax; seen++) {
      const name = this.#names[(from + seen) % this.#names.length] as string;
      page.set(name, (this.#entries.get(name) as Entry).record);
    }
    return [...page.values()];
  }
}

export function statusOf({ record, suspect, echoed }: Entry): MemberStatus {
  if (record.removed) return 'removed';
  if (record.status === 'left') return 'left';
  if (record.down || record.status === 'stopped') return 'down';
  if (suspect) return 'suspect';
  return record.status === 'up' && !echoed ? 'joining' : record.status;
}

/** Nobody waits for its heartbeats: it is known to be down, or gone. */
export function isSilent({ record }: Entry): boolean {
  return record.down || record.removed || record.status === 'stopped' || record.status === 'left';
}
