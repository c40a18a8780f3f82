// Actors whose process is killed under them. A file of its own: worker threads import it by URL.

import { Actor, type ActorType, defineActor } from '../../src/index.ts';

/** What an acknowledgement says: the number that was noted, and under which epoch. */
export type Noted = [n: number, epoch: number];

export interface Notes {
  /** The last number noted, and how many there were; equal when none was lost or doubled. */
  last: number;
  count: number;
  /** Text as long as a real state, so that a record is more than a number. */
  padding: string;
}

/** Notes 1, 2, 3, ... and keeps the whole state after every turn. */
export class Ledger extends Actor<Notes> {
  override initial(): Notes {
    return { last: 0, count: 0, padding: '' };
  }
  note(n: number): Noted {
    this.state.last = n;
    this.state.count++;
    this.state.padding = `${n},`.repeat(n % 50);
    return [n, this.self.epoch];
  }
  read(): [last: number, count: number, epoch: number] {
    return [this.state.last, this.state.count, this.self.epoch];
  }
}

/** The same by events: what it is is what was appended. */
export class Journal extends Actor<Notes> {
  override initial(): Notes {
    return { last: 0, count: 0, padding: '' };
  }
  override onEvent(n: number): void {
    // An event that is missing, doubled or out of order is counted wrongly for ever.
    if (n === this.state.last + 1) this.state.count++;
    this.state.last = n;
  }
  note(n: number): Noted {
    this.append(n);
    return [n, this.self.epoch];
  }
  read(): [last: number, count: number, epoch: number] {
    return [this.state.last, this.state.count, this.self.epoch];
  }
}

/** Sets reminders, and keeps which of them have come. */
export class Alarm extends Actor<{ came: string[] }> {
  override initial(): { came: string[] } {
    return { came: [] };
  }
  async set(name: string, inMs: number): Promise<number> {
    await this.self.remind(name, inMs);
    return this.self.epoch;
  }
  override onReminder(name: string): void {
    if (!this.state.came.includes(name)) this.state.came.push(name);
  }
  came(): [names: string[], epoch: number] {
    return [[...this.state.came], this.self.epoch];
  }
}

/** Holds numbers, in no particular order. */
export class Sets extends Actor<number[]> {
  override initial(): number[] {
    return [];
  }
  add(n: number): number {
    return this.state.push(n);
  }
  all(): number[] {
    return this.state;
  }
}

/** The same by events. */
export class LoggedSets extends Sets {
  override onEvent(n: number): void {
    this.state.push(n);
  }
  override add(n: number): number {
    this.append(n);
    return this.state.length;
  }
}

export const LedgerT: ActorType<Ledger> = defineActor(import.meta.url, Ledger, {
  type: 'ledger',
  persist: 'snapshot',
  // Without this a first look would store the first state, which a full disk refuses.
  turns: { read: 'read' },
});
export const JournalT: ActorType<Journal> = defineActor(import.meta.url, Journal, {
  type: 'journal',
  persist: 'journal',
  turns: { read: 'read' },
});
export const AlarmT: ActorType<Alarm> = defineActor(import.meta.url, Alarm, { type: 'alarm', persist: 'snapshot' });
export const SetsT: ActorType<Sets> = defineActor(import.meta.url, Sets, { type: 'sets', persist: 'snapshot' });
export const LoggedSetsT: ActorType<LoggedSets> = defineActor(import.meta.url, LoggedSets, {
  type: 'logged-sets',
  persist: 'journal',
});
