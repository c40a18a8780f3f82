// An actor that moves, with everything it has: state, messages, stash, timers, topics.

import { Actor, type DeactivateReason, type TimerId } from '../../../src/runtime/actor.ts';
import { type ActorOptions, type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import { GateT } from './gate.ts';

/** What happened, by key, across all lives. */
export const journeys = new Map<string, string[]>();

export interface MoverState {
  n: number;
  log: string[];
  open: boolean;
  timer: TimerId;
}

export class Mover extends Actor<MoverState> {
  /** Set by the tests: what time it is. */
  static clock: () => number = () => 0;
  override initial(): MoverState {
    return { n: 0, log: [], open: true, timer: 0 };
  }
  protected tell(what: string): void {
    const story = journeys.get(this.self.key) ?? [];
    story.push(`${Mover.clock()} ${what}`);
    journeys.set(this.self.key, story);
  }
  override onActivate(): void {
    this.tell('up');
    if (!this.self.key.startsWith('made')) return;
    // Made by onActivate(): each life makes them again.
    this.self.after(100, () => this.tell('first'));
    this.self.after(300, () => this.tell('second'));
    this.self.every(70, () => this.tell('third'));
  }
  override async onDeactivate(why: DeactivateReason): Promise<void> {
    this.tell(`down ${why}`);
    if (this.self.key.startsWith('slow')) await this.self.ref(GateT, 'gate').pass('down');
    if (this.self.key.startsWith('bad')) throw new Error('cannot leave');
  }
  override onTopic(_topic: string, value: unknown): void {
    this.state.log.push(`topic ${value}`);
  }
  add(by: number): number {
    this.state.n += by;
    return this.state.n;
  }
  note(text: string): string {
    if (!this.state.open) {
      this.self.stash();
      return '';
    }
    this.state.log.push(text);
    return text;
  }
  shut(): void {
    this.state.open = false;
  }
  open(): void {
    this.state.open = true;
    this.self.unstashAll();
  }
  log(): string[] {
    return this.state.log;
  }
  epoch(): number {
    return this.self.epoch;
  }
  tick(): void {
    this.tell('tick');
  }
  tock(): void {
    this.tell('tock');
  }
  named(ms: number): void {
    this.state.timer = this.self.after(ms, 'tick');
  }
  repeated(ms: number): void {
    this.state.timer = this.self.every(ms, 'tock');
  }
  cancelKept(): void {
    this.self.cancel(this.state.timer);
  }
  closure(ms: number): void {
    this.self.after(ms, () => this.tell('closure'));
  }
  child(): void {
    this.self.spawn(MoverT);
  }
  watch(): void {
    this.self.watch(this.self.ref(MoverT, 'another'), () => undefined);
  }
  async hold(): Promise<string> {
    await this.self.ref(GateT, 'gate').pass('hold');
    return 'held';
  }
  subscribe(topic: string): void {
    this.self.subscribe(topic);
  }
  publish(topic: string, value: string): void {
    this.self.publish(topic, value);
  }
  spoil(): void {
    (this.state as unknown as Record<string, unknown>).socket = () => 1;
  }
}
const define = (type: string, options: Partial<ActorOptions<Mover>> = {}): ActorType<Mover> =>
  defineActor(import.meta.url, Mover, { type, turns: { epoch: 'read' }, ...options });
export const MoverT: ActorType<Mover> = define('mover');
export const StoredMoverT: ActorType<Mover> = define('stored-mover', { persist: 'snapshot' });
export const ExplicitMoverT: ActorType<Mover> = define('explicit-mover', { persist: 'snapshot', saves: 'explicit' });
export const PinnedT: ActorType<Mover> = define('pinned', { placement: 'pinned' });
export const PoolT: ActorType<Mover> = define('pool', { placement: 'pool' });
export const CrampedT: ActorType<Mover> = define('cramped', { mailbox: { capacity: 2, overflow: 'wait' } });
