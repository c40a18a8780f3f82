// Actors for the tests of the runtime. A file of its own: worker threads import it by URL.

import { Actor } from '../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../src/runtime/define-actor.ts';
import type { AnyRef } from '../../src/runtime/refs.ts';

export class Counter extends Actor<{ n: number; log: string[] }> {
  override initial(): { n: number; log: string[] } {
    return { n: 0, log: [] };
  }
  add(by: number): number {
    this.state.n += by;
    return this.state.n;
  }
  note(text: string): void {
    this.state.log.push(text);
  }
  get(): number {
    return this.state.n;
  }
  notes(): string[] {
    return [...this.state.log];
  }
  boom(message: string): never {
    this.state.n += 1_000;
    throw new RangeError(message);
  }
  never(): Promise<number> {
    return new Promise(() => undefined);
  }
  unsendable(): unknown {
    return { fn: () => 1 };
  }
  many(...items: unknown[]): number {
    return items.length;
  }
  async slow(ms: number): Promise<number> {
    await new Promise<void>(resolve => {
      this.waiting.push(resolve);
      this.self.after(ms, 'go');
    });
    return ++this.state.n;
  }
  go(): void {
    for (const each of this.waiting.splice(0)) each();
  }
  private waiting: (() => void)[] = [];
  me(): AnyRef {
    return this.self.ref();
  }
}
export const CounterT: ActorType<Counter> = defineActor(import.meta.url, Counter, {
  type: 'counter',
  turns: { get: 'read' },
});
