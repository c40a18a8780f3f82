// Our actor of the threads bench: the far side.

import { Actor, defineActor } from '../../src/index.ts';
import { Counter, type Tally } from './side.ts';

export class Far extends Actor<object> {
  private readonly counter = new Counter();

  override initial() {
    return {};
  }
  hit(message: number | string): void {
    this.counter.hit(message);
  }
  next(value: number): number {
    return value + 1;
  }
  echo(text: string): string {
    return text;
  }
  tally(): Tally {
    return this.counter.tally();
  }
}

export const FarT = defineActor(import.meta.url, Far, {
  type: 'far',
  version: 1,
  placement: 'pinned',
  thread: 1, // thread 0 is the one that asks
  persist: 'none',
  mailbox: { capacity: 4_096, bytes: 8 << 20, overflow: 'wait' },
});
