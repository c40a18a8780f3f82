// Actors whose partitions change hands. A file of its own: worker threads import it by URL.

import { Actor, type ActorType, call, defineActor, type Ref, tell } from '../../src/index.ts';

/** Who wrote, the number of what it wrote, and the epoch of the actor that took it. */
export type Line = [sender: string, n: number, epoch: number];

interface TallyState {
  lines: Line[];
  sum: number;
  fired: string[];
}

/** Keeps what it is given. One class, kept in three ways. */
export class Tally extends Actor<TallyState> {
  override initial(): TallyState {
    return { lines: [], sum: 0, fired: [] };
  }
  take(sender: string, n: number): number {
    this.state.lines.push([sender, n, this.self.epoch]);
    return this.state.lines.length;
  }
  add(n: number): number {
    this.state.sum += n;
    return this.state.sum;
  }
  lines(): Line[] {
    return this.state.lines;
  }
  fired(): string[] {
    return this.state.fired;
  }
  count(): number {
    return this.state.lines.length;
  }
  epoch(): number {
    return this.self.epoch;
  }
  tick(): void {
    this.note('tick');
  }
  startTimer(everyMs: number): void {
    this.self.every(everyMs, 'tick');
  }
  startClosure(ms: number): number {
    return this.self.after(ms, () => undefined);
  }
  stopTimer(id: number): void {
    this.self.cancel(id);
  }
  /** It is stored when this answers. */
  async remindMe(name: string, inMs: number): Promise<void> {
    await this.self.remind(name, inMs);
  }
  override onReminder(name: string): void {
    this.note(name);
  }
  /** Asks another to ask a third. */
  async through(next: Ref<Tally>, last: Ref<Tally>): Promise<number> {
    return next.on(last);
  }
  async on(last: Ref<Tally>): Promise<number> {
    await new Promise(resolve => setTimeout(resolve, 5));
    return last.count();
  }
  /** Set aside until open() comes. */
  later(sender: string, n: number): number {
    if (!this.state.fired.includes('open')) {
      this.self.stash();
      return -1;
    }
    return this.take(sender, n);
  }
  open(): void {
    this.note('open');
    this.self.unstashAll();
  }
  async slow(ms: number): Promise<string> {
    await new Promise(resolve => setTimeout(resolve, ms));
    return 'done';
  }
  adopt(): void {
    this.self.spawn(BareTallyT);
  }
  /** Ends the only child: by ending itself, and being woken again. */
  end(): void {
    this.self.stop();
  }
  note(what: string): void {
    this.state.fired.push(what);
  }
}
const turns = { slow: 'interleave', lines: 'read', fired: 'read', count: 'read' } as const;
const mailbox = { overflow: 'wait' } as const;
export const TallyT: ActorType<Tally> = defineActor(import.meta.url, Tally, {
  type: 'tally',
  persist: 'snapshot',
  mailbox,
});
export const BareTallyT: ActorType<Tally> = defineActor(import.meta.url, Tally, {
  type: 'bare-tally',
  persist: 'none',
  mailbox,
  turns,
});
/** Sleeps as soon as it may. */
export const DrowsyT: ActorType<Tally> = defineActor(import.meta.url, Tally, {
  type: 'drowsy',
  persist: 'none',
  idleMs: 20,
});
/** The ring does not place these. */
export const LocalTallyT: ActorType<Tally> = defineActor(import.meta.url, Tally, {
  type: 'local-tally',
  persist: 'snapshot',
  placement: 'local',
});

type Event = ['line', Line] | ['note', string] | ['add', number];

export class Ledger extends Tally {
  override onEvent(event: unknown): void {
    const [kind, what] = event as Event;
    if (kind === 'line') this.state.lines.push(what);
    else if (kind === 'note') this.state.fired.push(what);
    else this.state.sum += what;
  }
  override take(sender: string, n: number): number {
    this.append(['line', [sender, n, this.self.epoch]]);
    return this.state.lines.length;
  }
  override add(n: number): number {
    this.append(['add', n]);
    return this.state.sum;
  }
  override note(what: string): void {
    this.append(['note', what]);
  }
}
export const LedgerT: ActorType<Ledger> = defineActor(import.meta.url, Ledger, {
  type: 'ledger',
  persist: 'journal',
  mailbox,
});

export const PinnedTallyT: ActorType<Ledger> = defineActor(import.meta.url, Ledger, {
  type: 'pinned-tally',
  persist: 'journal',
  placement: 'pinned',
  thread: 0,
});

interface TalkerState {
  said: Record<string, number>;
  troubles: string[];
  on: boolean;
  asks: number;
  targets: Ref<Tally>[];
}

/** Writes numbered lines to others, by tells and asks, until it is told to stop. */
export class Talker extends Actor<TalkerState> {
  override initial(): TalkerState {
    return { said: {}, troubles: [], on: false, asks: 0, targets: [] };
  }
  begin(targets: Ref<Tally>[]): void {
    this.state.on = true;
    this.self.after(1, 'speak');
    this.state.targets = targets;
  }
  async speak(): Promise<void> {
    if (!this.state.on) return;
    for (const target of this.state.targets) {
      const to = String(target);
      const next = (): number => {
        const n = this.state.said[to] ?? 0;
        this.state.said[to] = n + 1;
        return n;
      };
      try {
        await tell(target).take(this.self.id, next());
        await tell(target).take(this.self.id, next());
        await call(target, { deadlineMs: 15_000 }).take(this.self.id, next());
        this.state.asks++;
      } catch (error) {
        this.state.troubles.push(`${to}: ${(error as { code?: string }).code} ${(error as Error).message}`);
      }
    }
    this.self.after(3, 'speak');
  }
  /** Says nothing more: a turn of its own, behind what it is saying. */
  end(): TalkerState {
    this.state.on = false;
    return this.state;
  }
}
export const TalkerT: ActorType<Talker> = defineActor(import.meta.url, Talker, {
  type: 'talker',
  persist: 'none',
  mailbox,
});

/** Hears of the ends of others. */
export class Mourner extends Actor<{ heard: string[] }> {
  override initial(): { heard: string[] } {
    return { heard: [] };
  }
  mourn(other: Ref<Tally>): void {
    this.self.watch(other, ({ id, reason }) => this.state.heard.push(`${id} ${reason}`));
  }
  heard(): string[] {
    return this.state.heard;
  }
  end(): void {
    this.self.stop();
  }
}
export const MournerT: ActorType<Mourner> = defineActor(import.meta.url, Mourner, {
  type: 'mourner',
  persist: 'none',
  placement: 'local',
});
/** One that the ring places: its watches keep its partition where it is. */
export const RingMournerT: ActorType<Mourner> = defineActor(import.meta.url, Mourner, {
  type: 'ring-mourner',
  persist: 'none',
});

export const handoffTypes: ActorType<any>[] = [
  TallyT,
  BareTallyT,
  DrowsyT,
  LocalTallyT,
  PinnedTallyT,
  LedgerT,
  TalkerT,
  MournerT,
  RingMournerT,
];
