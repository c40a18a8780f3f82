// What a way between two threads has to do to take part. The far thread counts and sums what it is told (so that a tell
// is confirmed by the receiver, not by the sender), adds one to what it is asked, and echoes text.

import type { Done } from '../harness.ts';

export interface ThreadSide {
  setup(): Promise<void>;
  /** n numbers one way, each sent on its own as it comes, no batching by the sender. */
  tellNumbers(n: number): Promise<Done>;
  /** The same with a text of 1 KiB. */
  tellTexts(n: number): Promise<Done>;
  askNumber(value: number): Promise<number>;
  /** The text there and back again. */
  askText(text: string): Promise<string>;
  teardown(): Promise<void>;
}

/** What the far thread saw so far. */
export interface Tally {
  readonly count: number;
  readonly sum: number;
}

export const text1k: string = 'abcdefghijklmnopqrstuvwxyz012345'.repeat(32);

/** The receiver's half of a tell: an amount is a number or the length of a text. */
export class Counter {
  private count = 0;
  private sum = 0;

  hit(message: number | string): void {
    this.count++;
    this.sum = (this.sum + (typeof message === 'number' ? message : message.length)) >>> 0;
  }

  tally(): Tally {
    return { count: this.count, sum: this.sum };
  }
}

/** Tells, then asks the receiver what came: `tell` is called n times, `tally` must see all of them. */
export async function confirmTells(
  n: number,
  tell: (index: number) => void | Promise<void>,
  tally: () => Promise<Tally>,
): Promise<Done> {
  const before = await tally();
  const began = performance.now();
  for (let index = 0; index < n; index++) {
    const slot = tell(index);
    if (slot !== undefined) await slot;
  }
  const after = await tally();
  return { done: after.count - before.count, ms: performance.now() - began, hash: (after.sum - before.sum) >>> 0 };
}
