// Actors with stored reminders, and actors that publish and subscribe.

import { Actor, type ReminderTime } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import type { AnyRef } from '../../../src/runtime/refs.ts';
import { GateT } from './gate.ts';

/** Outlives its activations: what reminders did, by key. */
export const reminded = new Map<string, string[]>();

export class Sleeper extends Actor<{ n: number }> {
  /** Set by the tests: what time it is. */
  static clock: () => number = () => 0;
  /** How often onReminder() is to fail. */
  static failures = 0;
  override initial(): { n: number } {
    return { n: 0 };
  }
  override async onReminder(name: string): Promise<void> {
    const log = reminded.get(this.self.key) ?? [];
    reminded.set(this.self.key, log);
    log.push(`${Sleeper.clock()} ${name}`);
    if (name.startsWith('slow')) await this.self.ref(GateT, 'gate').pass(name);
    if (name.startsWith('again')) await this.self.remind(name, 50);
    if (name.startsWith('cancel')) await this.self.cancel(name);
    if (Sleeper.failures > 0) {
      Sleeper.failures--;
      throw new Error('not now');
    }
  }
  async remind(name: string, when: ReminderTime): Promise<void> {
    await this.self.remind(name, when);
  }
  async cancel(name: string): Promise<void> {
    await this.self.cancel(name);
  }
  /** Its turn is open while the reminder comes; then it cancels it. */
  async holdAndCancel(name: string): Promise<void> {
    await this.self.ref(GateT, 'gate').pass('hold');
    await this.self.cancel(name);
  }
  add(): number {
    return ++this.state.n;
  }
  stop(): void {
    this.self.stop();
  }
}
export const SleeperT: ActorType<Sleeper> = defineActor(import.meta.url, Sleeper, { type: 'sleeper' });
export const LastingSleeperT: ActorType<Sleeper> = defineActor(import.meta.url, Sleeper, {
  type: 'lasting-sleeper',
  persist: 'snapshot',
});

export class Listener extends Actor<{ heard: [string, unknown][] }> {
  override initial(): { heard: [string, unknown][] } {
    return { heard: [] };
  }
  override onTopic(topic: string, value: unknown): void {
    if (value === 'fail') throw new Error('a listener that fails');
    this.state.heard.push([topic, value]);
  }
  subscribe(topic: string): void {
    this.self.subscribe(topic);
  }
  unsubscribe(topic: string): void {
    this.self.unsubscribe(topic);
  }
  heard(): [string, unknown][] {
    return this.state.heard;
  }
  fork(topic: string): AnyRef {
    const child = this.self.spawn(ListenerT);
    void child.subscribe(topic);
    return child;
  }
  publish(topic: string, value: unknown): void {
    this.self.publish(topic, value);
  }
  /** Changes what it has published, after the fact. */
  publishAndChange(topic: string): void {
    const value = { n: 1 };
    this.self.publish(topic, value);
    value.n = 2;
  }
  async hold(): Promise<void> {
    await this.self.ref(GateT, 'gate').pass('hold');
  }
  stop(): void {
    this.self.stop();
  }
}
export const ListenerT: ActorType<Listener> = defineActor(import.meta.url, Listener, { type: 'listener' });
export const SmallListenerT: ActorType<Listener> = defineActor(import.meta.url, Listener, {
  type: 'small-listener',
  mailbox: { capacity: 2 },
});
