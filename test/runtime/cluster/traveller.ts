// An actor with everything that has to travel: state, timers, reminders, answers of operations done once.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import { LocalLogT } from '../gateway/actors.ts';

export const gate: { open: () => void } = { open: () => undefined };

export class Traveller extends Actor<unknown[]> {
  override initial(): unknown[] {
    return [];
  }
  hear(what: unknown): number {
    return this.state.push(what);
  }
  all(): unknown[] {
    return this.state;
  }
  epoch(): number {
    return this.self.epoch;
  }
  tick(ms: number): void {
    this.self.after(ms, 'onTick');
  }
  onTick(): void {
    this.state.push('tick');
  }
  /** Until the test lets it end. */
  slow(): Promise<void> {
    return new Promise(resolve => {
      gate.open = resolve;
    });
  }
  /** Something that nobody else knows under its address. */
  keepOwn(): void {
    this.state.push(this.self.ref(LocalLogT, 'mine'));
  }
  grow(bytes: number): void {
    this.state.push('x'.repeat(bytes));
  }
  remindMe(name: string, ms: number): Promise<void> {
    return this.self.remind(name, ms);
  }
  remindEvery(name: string, everyMs: number): Promise<void> {
    return this.self.remind(name, { everyMs });
  }
  async forget(name: string): Promise<void> {
    await this.self.cancel(name);
  }
  override onReminder(name: string): void {
    this.state.push(`reminder ${name}`);
  }
  rest(): void {
    this.self.stop();
  }
}
export const TravellerT: ActorType<Traveller> = defineActor(import.meta.url, Traveller, {
  type: 'traveller',
  persist: 'snapshot',
});
