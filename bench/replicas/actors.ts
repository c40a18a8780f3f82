// A counter that is stored before it answers.

import { Actor, type ActorType, defineActor } from '../../src/index.ts';

class Counter extends Actor<number> {
  override initial(): number {
    return 0;
  }
  add(by: number): number {
    this.state += by;
    return this.state;
  }
  get(): number {
    return this.state;
  }
}
export const CounterT: ActorType<Counter> = defineActor(import.meta.url, Counter, {
  type: 'bench-counter',
  persist: 'snapshot',
});
