// An actor as a user of plain JavaScript writes it: its own module, which every thread loads.
import { Actor, defineActor } from 'troupe';

export class Counter extends Actor {
  initial() {
    return { count: 0 };
  }
  async add(amount) {
    this.state.count += amount;
    await this.save();
    return this.state.count;
  }
}

export const CounterT = defineActor(import.meta.url, Counter, { type: 'counter', version: 1, persist: 'snapshot' });
