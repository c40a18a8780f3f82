// Actors that move, and those that talk to them meanwhile. A file of its own: threads import it by URL.

import { Actor, type ActorType, call, type DeactivateReason, defineActor, type Ref, tell } from '../../../src/index.ts';

const held = new Map<string, () => void>();

export interface RoadState {
  /** By sender: the number of its last message, and how many came. */
  last: Record<string, number>;
  count: number;
  wrong: string[];
  /** Of each activation, in order. */
  epochs: number[];
  log: string[];
  ticks: number;
  closed: boolean;
  /** Messages stashed so far. */
  aside: number;
}

export class Road extends Actor<RoadState> {
  override initial(): RoadState {
    return { last: {}, count: 0, wrong: [], epochs: [], log: [], ticks: 0, closed: false, aside: 0 };
  }
  override onActivate(): void {
    this.state.epochs.push(this.self.epoch);
  }

  take(sender: string, n: number): number {
    const last = this.state.last[sender] ?? -1;
    if (n !== last + 1) this.state.wrong.push(`${sender}: ${n} after ${last}`);
    this.state.last[sender] = n;
    this.state.count++;
    return n;
  }
  /** The same with something to wait for in the middle of the turn. */
  async takeSlowly(sender: string, n: number): Promise<number> {
    await new Promise(resolve => setImmediate(resolve));
    return this.take(sender, n);
  }
  report(): RoadState {
    return this.state;
  }
  note(text: string): string {
    this.state.log.push(text);
    return text;
  }

  // What travels with it.

  /** Sets notes aside until open(). */
  close(): void {
    this.state.closed = true;
  }
  later(text: string): string {
    if (this.state.closed) {
      this.state.aside++;
      this.self.stash();
      return 'stashed';
    }
    return this.note(text);
  }
  open(): void {
    this.state.closed = false;
    this.self.unstashAll();
  }
  stashed(): number {
    return this.state.aside;
  }
  remindMe(ms: number, text: string): number {
    this.state.log.push(`set ${text}`);
    return this.self.after(ms, 'fired');
  }
  fired(): void {
    this.state.log.push('fired');
  }
  tickEvery(ms: number): number {
    return this.self.every(ms, 'tick');
  }
  tick(): void {
    this.state.ticks++;
  }
  cancelTimer(id: number): void {
    this.self.cancel(id);
  }

  // What keeps it from moving.

  adopt(): void {
    this.self.spawn(ChildT);
  }
  hideTimer(): void {
    this.self.after(60_000, () => this.note('closure'));
  }
  async hold(): Promise<string> {
    await new Promise<void>(resolve => held.set(this.self.key, resolve));
    return 'let go';
  }
  fillUp(bytes: number): void {
    (this.state as unknown as { load: Uint8Array }).load = new Uint8Array(bytes).fill(7);
  }
  spoil(): void {
    (this.state as unknown as { fn: () => void }).fn = () => undefined;
  }
  rest(): void {
    this.self.stop();
  }
}

export class Kept extends Road {
  override onActivate(): void {
    // An epoch in the state would change it with each activation: the storage keeps it.
    if (this.state.epochs.at(-1) !== this.self.epoch) super.onActivate();
  }
}

export interface JournalState {
  values: number[];
  epochs: number[];
}

export class Journal extends Actor<JournalState> {
  override initial(): JournalState {
    return { values: [], epochs: [] };
  }
  override onEvent(event: unknown): void {
    this.state.values.push(event as number);
  }
  add(value: number): number {
    this.append(value);
    return this.state.values.length;
  }
  values(): number[] {
    return this.state.values;
  }
  epoch(): number {
    return this.self.epoch;
  }
}

export class Child extends Actor<null> {
  override initial(): null {
    return null;
  }
}

/** Says goodbye slowly, and forgets what it must find again on the other side. */
export class Guest extends Actor<{ log: string[] }> {
  private unsaved = '';

  override initial(): { log: string[] } {
    return { log: [] };
  }
  override async onActivate(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve));
    this.unsaved = 'made';
    this.self.after(60_000, () => undefined);
    this.state.log.push('hello');
  }
  override async onDeactivate(why: DeactivateReason): Promise<void> {
    await new Promise(resolve => setImmediate(resolve));
    this.state.log.push(why);
  }
  log(): string[] {
    return [...this.state.log, this.unsaved];
  }
}

export interface Trip {
  readonly asked: number;
  readonly told: number;
  readonly wrong: string[];
}

export class Walker extends Actor<{ trips: number }> {
  override initial(): { trips: number } {
    return { trips: 0 };
  }
  /** Sends 0, 1, 2, ... to an actor that moves: tells, and asks some of which are under way together. */
  async walk(to: Ref<Road>, sender: string, count: number): Promise<Trip> {
    const wrong: string[] = [];
    const open = new Set<Promise<void>>();
    let asked = 0;
    for (let n = 0; n < count; n++) {
      if (n % 3 === 0) {
        asked++;
        const ask: Promise<void> = (n % 2 === 0 ? to.take(sender, n) : to.takeSlowly(sender, n)).then(
          answer => {
            if (answer !== n) wrong.push(`${n} was answered ${answer}`);
            open.delete(ask);
          },
          error => {
            wrong.push(`${n}: ${(error as Error).message}`);
            open.delete(ask);
          },
        );
        open.add(ask);
        if (open.size >= 8) await Promise.race(open);
      } else await tell(to).take(sender, n);
      if (n % 50 === 49) await new Promise(resolve => setImmediate(resolve));
    }
    await Promise.all(open);
    this.state.trips++;
    return { asked, told: count - asked, wrong };
  }
  /** Waits for whoever holds it: pending asks move along. */
  async ask(to: Ref<Road>, text: string): Promise<string> {
    return to.later(text);
  }
  async once(to: Ref<Road>, opId: string, text: string): Promise<string> {
    return call(to, { opId, deadlineMs: 30_000 }).note(text);
  }
  letGo(key: string): boolean {
    const go = held.get(key);
    held.delete(key);
    go?.();
    return go !== undefined;
  }
}

const roadOptions = { mailbox: { capacity: 256, overflow: 'wait' } } as const;
export const RoadT: ActorType<Road> = defineActor(import.meta.url, Road, { type: 'road', ...roadOptions });
export const SleepyT: ActorType<Road> = defineActor(import.meta.url, Road, {
  type: 'sleepy',
  idleMs: 1,
  ...roadOptions,
});
export const KeptT: ActorType<Kept> = defineActor(import.meta.url, Kept, {
  type: 'kept',
  persist: 'snapshot',
  ...roadOptions,
});
export const KeptSleepyT: ActorType<Kept> = defineActor(import.meta.url, Kept, {
  type: 'kept-sleepy',
  persist: 'snapshot',
  idleMs: 1,
  ...roadOptions,
});
export const JournalT: ActorType<Journal> = defineActor(import.meta.url, Journal, {
  type: 'journal',
  persist: 'journal',
});
export const JournalSleepyT: ActorType<Journal> = defineActor(import.meta.url, Journal, {
  type: 'journal-sleepy',
  persist: 'journal',
  idleMs: 1,
});
export const GuestT: ActorType<Guest> = defineActor(import.meta.url, Guest, { type: 'guest' });
export const StayT: ActorType<Road> = defineActor(import.meta.url, Road, {
  type: 'stay',
  placement: 'pinned',
  thread: 1,
});
export const ChildT: ActorType<Child> = defineActor(import.meta.url, Child, { type: 'road-child' });
const walker = (thread: number): ActorType<Walker> =>
  defineActor(import.meta.url, Walker, { type: `walker-${thread}`, placement: 'pinned', thread });
export const Walker0T: ActorType<Walker> = walker(0);
export const Walker1T: ActorType<Walker> = walker(1);
export const Walker2T: ActorType<Walker> = walker(2);
export const roadTypes: readonly ActorType[] = [
  RoadT,
  SleepyT,
  KeptT,
  KeptSleepyT,
  JournalT,
  JournalSleepyT,
  GuestT,
  StayT,
  ChildT,
  Walker0T,
  Walker1T,
  Walker2T,
] as ActorType[];
