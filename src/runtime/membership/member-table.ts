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
  /** The first ping of those it has not answered; undefined: it has answered, was heard, or was not asked. */
  asked: { at: Millis; readonly seq: number } | undefined;
  /** Since when every dial was refused, and nothing was heard of it directly. */
  nobodySince: Millis | undefined;
  linked: boolean;
  /** Round until which it goes into every message. */
  newsUntil: number;
  shown: MemberStatus | undefined;
  goneAt: Millis | undefined;
}

export class MemberTable {
  readonly #entries = new Map<string, Entry>();
  #list: Entry[] = [];
  #cursor = 0;
  readonly #news = new Set<Entry>();
  #silent = 0;
  #lost = 0;

  get size(): number {
    return this.#entries.size;
  }

  get full(): boolean {
    return this.#entries.size >= membersMax;
  }

  /** Members whose heartbeats are waited for, this node among them. */
  get living(): number {
    return this.#entries.size - this.#silent;
  }

  /** Members that are down only: they may come back. */
  get lost(): number {
    return this.#lost;
  }

  get(name: string): Entry | undefined {
    return this.#entries.get(name);
  }

  values(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  /** `chance` is any whole number. */
  at(chance: number): Entry {
    return this.#list[chance % this.#list.length] as Entry;
  }

  add(record: MemberRecord, firstIntervalMs: Millis, now: Millis): Entry {
    const entry: Entry = {
      record,
      phi: new PhiWindow(firstIntervalMs, now),
      reports: new ReportExpiry(),
      echoed: false,
      nobodySince: undefined,
      suspect: false,
      reportedAt: Number.NEGATIVE_INFINITY,
      asked: undefined,
      linked: true,
      newsUntil: 0,
      shown: undefined,
      goneAt: undefined,
    };
    this.#entries.set(record.name, entry);
    this.#list.push(entry);
    this.#count(record, 1);
    return entry;
  }

  replace(entry: Entry, record: MemberRecord): void {
    this.#count(entry.record, -1);
    this.#count(record, 1);
    entry.record = record;
  }

  forget(entry: Entry): void {
    this.#entries.delete(entry.record.name);
    this.#list = this.#list.filter(each => each !== entry);
    this.#news.delete(entry);
    this.#count(entry.record, -1);
  }

  #count(record: MemberRecord, by: 1 | -1): void {
    if (isSilent(record)) this.#silent += by;
    if (isDownOnly(record)) this.#lost += by;
  }

  /** It goes into every message until that round. */
  tell(entry: Entry, untilRound: number): void {
    entry.newsUntil = untilRound;
    this.#news.add(entry);
  }

  /** After `said`: this node, then news, then the others in turn, so that every member is mentioned every size / max messages. */
  digests(self: Entry, round: number, said: readonly Digest[] = []): Digest[] {
    const digests = [...said];
    const names = new Set(said.map(([name]) => name));
    const add = ({ record }: Entry): void => {
      if (names.has(record.name)) return;
      names.add(record.name);
      digests.push(digestOf(record));
    };
    if (digests.length < gossipDigestsMax) add(self);
    for (const entry of this.#news) {
      if (entry.newsUntil <= round) this.#news.delete(entry);
      else if (digests.length < gossipDigestsMax / 2) add(entry);
    }
    for (let seen = 0; seen < this.#list.length && digests.length < gossipDigestsMax; seen++) {
      this.#cursor = (this.#cursor + 1) % this.#list.length;
      add(this.#list[this.#cursor] as Entry);
    }
    return digests;
  }

  /** Records from a random place on, for somebody who knows fewer members than we do. */
  page(from: number, besides: readonly MemberRecord[]): MemberRecord[] {
    const page = new Map(besides.map(record => [record.name, record]));
    for (let seen = 0; seen < this.#list.length && page.size < gossipStatesMax; seen++) {
      const { record } = this.at(from + seen);
      page.set(record.name, record);
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
export function isSilent(record: MemberRecord): boolean {
  return record.down || record.removed || record.status === 'stopped' || record.status === 'left';
}

/** Down, and still a member: it may come back. */
export function isDownOnly(record: MemberRecord): boolean {
  return (record.down || record.status === 'stopped') && !record.removed && record.status !== 'left';
}
