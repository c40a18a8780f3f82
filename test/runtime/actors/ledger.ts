// Actors whose state is stored, in each of the ways; what they send goes to a sink that the tests put a probe at.

import { Actor, type DeactivateReason } from '../../../src/runtime/actor.ts';
import { type ActorOptions, type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import { tell } from '../../../src/runtime/refs.ts';
import { GateT } from './gate.ts';

export class Sink extends Actor<{ heard: unknown[] }> {
  override initial(): { heard: unknown[] } {
    return { heard: [] };
  }
  override onTopic(_topic: string, value: unknown): void {
    this.state.heard.push(value);
  }
  listen(topic: string): void {
    this.self.subscribe(topic);
  }
  hear(value: unknown): unknown {
    this.state.heard.push(value);
    return value;
  }
  heard(): unknown[] {
    return this.state.heard;
  }
}
export const SinkT: ActorType<Sink> = defineActor(import.meta.url, Sink, { type: 'sink' });
export const SlowSinkT: ActorType<Sink> = defineActor(import.meta.url, Sink, {
  type: 'slow-sink',
  mailbox: { capacity: 1, overflow: 'wait' },
});

export interface LedgerState {
  n: number;
  list: number[];
  [more: string]: unknown;
}

export class Ledger extends Actor<LedgerState> {
  override initial(): LedgerState {
    return { n: 0, list: [] };
  }
  override onDeactivate(_why: DeactivateReason): void {
    this.state.ends = ((this.state.ends as number | undefined) ?? 0) + 1;
  }
  add(by: number): number {
    this.state.n += by;
    return this.state.n;
  }
  get(): number {
    return this.state.n;
  }
  /** Hands out its own list: what leaves must be what it was. */
  push(n: number): number[] {
    this.state.list.push(n);
    return this.state.list;
  }
  addAndTell(by: number): number {
    this.state.n += by;
    tell(this.self.ref(SinkT, 's')).hear(this.state.n);
    return this.state.n;
  }
  /** Changes what it has sent, before its turn ends. */
  tellAndChange(): void {
    const value = { n: 1 };
    tell(this.self.ref(SinkT, 's')).hear(value);
    value.n = 2;
    this.state.n++;
  }
  addAndPublish(by: number): void {
    this.state.n += by;
    this.self.publish('ledger', this.state.n);
    tell(this.self.ref(SinkT, 's')).hear(`tell ${this.state.n}`);
  }
  async addAndAsk(by: number): Promise<unknown> {
    this.state.n += by;
    return this.self.ref(SinkT, 's').hear(this.state.n);
  }
  /** Tells before and after an await. */
  async around(by: number): Promise<number> {
    this.state.n += by;
    tell(this.self.ref(SinkT, 's')).hear(`before ${this.state.n}`);
    await this.self.ref(GateT, 'gate').pass('around');
    this.state.n += by;
    tell(this.self.ref(SinkT, 's')).hear(`after ${this.state.n}`);
    return this.state.n;
  }
  addAndFail(by: number): never {
    this.state.n += by;
    tell(this.self.ref(SinkT, 's')).hear(`failed at ${this.state.n}`);
    throw new Error('failed');
  }
  async addAndFailLater(by: number): Promise<never> {
    this.state.n += by;
    await this.self.ref(GateT, 'gate').pass('fail');
    this.state.n += by;
    throw new Error('failed later');
  }
  async fill(count: number): Promise<string[]> {
    const sent: string[] = [];
    const sink = tell(this.self.ref(SlowSinkT, 's'));
    for (let n = 0; n < count; n++) {
      await sink.hear(n);
      sent.push(`sent ${n}`);
      this.state.list.push(n);
    }
    return sent;
  }
  async saveNow(level: 'committed' | 'flushed' = 'committed'): Promise<string> {
    await this.save(level);
    return 'saved';
  }
  saveUnawaited(): void {
    void this.save();
  }
  spoil(): string {
    this.state.socket = () => 1;
    return 'spoilt';
  }
  mend(): void {
    delete this.state.socket;
  }
  /** Two turns of it may be open: an old one must not write into a new life. */
  async saveLater(name: string): Promise<string> {
    const mine = this.state.n;
    await this.self.ref(GateT, 'gate').pass(name);
    await this.save();
    return `saved ${mine}`;
  }
  async tellLater(name: string): Promise<void> {
    await this.self.ref(GateT, 'gate').pass(name);
    tell(this.self.ref(SinkT, 's')).hear(name);
  }
  epoch(): number {
    return this.self.epoch;
  }
  stop(): void {
    this.self.stop();
  }
  boom(): never {
    throw new Error('boom');
  }
}
const define = (type: string, options: Partial<ActorOptions<Ledger>>): ActorType<Ledger> =>
  defineActor(import.meta.url, Ledger, {
    type,
    turns: { get: 'read', saveLater: 'interleave', tellLater: 'interleave' },
    ...options,
  });
const supervise = { onError: 'restart', backoffMs: [0, 0] } as const;

export const LedgerT: ActorType<Ledger> = define('ledger', { persist: 'snapshot' });
export const RestartingT: ActorType<Ledger> = define('restarting', { persist: 'snapshot', supervise });
export const ExplicitT: ActorType<Ledger> = define('explicit', { persist: 'snapshot', saves: 'explicit' });
export const FlushedT: ActorType<Ledger> = define('flushed', { persist: 'snapshot', durability: 'flushed' });
export const VolatileT: ActorType<Ledger> = define('volatile', {});

/** Asks its own past in onActivate, and tells somebody of it. */
export class Announcer extends Ledger {
  override onActivate(): void {
    this.state.n += 1;
    tell(this.self.ref(SinkT, 's')).hear(`up ${this.state.n}`);
  }
}
export const AnnouncerT: ActorType<Announcer> = defineActor(import.meta.url, Announcer, {
  type: 'announcer',
  persist: 'snapshot',
});

export type LedgerEvent = { readonly add: number };
export class Journal extends Actor<LedgerState> {
  static replayed = 0;
  override initial(): LedgerState {
    return { n: 0, list: [] };
  }
  override onEvent(event: LedgerEvent): void {
    Journal.replayed++;
    this.state.n += event.add;
    this.state.list.push(event.add);
  }
  boom(): never {
    throw new Error('boom');
  }
  add(...all: number[]): number {
    for (const each of all) this.append({ add: each });
    return this.state.n;
  }
  addAndTell(by: number): number {
    this.append({ add: by });
    tell(this.self.ref(SinkT, 's')).hear(this.state.n);
    return this.state.n;
  }
  async addAround(by: number): Promise<number> {
    this.append({ add: by });
    await this.self.ref(GateT, 'gate').pass('around');
    this.append({ add: by });
    return this.state.n;
  }
  addAndFail(by: number): never {
    this.append({ add: by });
    throw new Error('failed');
  }
  appendSpoilt(): void {
    this.append({ add: (() => 1) as unknown as number });
  }
  get(): number {
    return this.state.n;
  }
  async saveNow(): Promise<void> {
    await this.save();
  }
  stop(): void {
    this.self.stop();
  }
}
const journal = (type: string, options: Partial<ActorOptions<Journal>> = {}): ActorType<Journal> =>
  defineActor(import.meta.url, Journal, { type, persist: 'journal', turns: { get: 'read' }, ...options });
export const JournalT: ActorType<Journal> = journal('journal');
export const RestartingJournalT: ActorType<Journal> = journal('restarting-journal', { supervise });

export const ledgers: ActorType<any>[] = [
  LedgerT,
  RestartingT,
  ExplicitT,
  FlushedT,
  VolatileT,
  AnnouncerT,
  JournalT,
  RestartingJournalT,
  SinkT,
  SlowSinkT,
  GateT,
];
