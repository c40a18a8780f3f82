// Partitions of this node that are to come to rest: one at a time.
//
// The intuition: while a partition comes to rest its senders are kept back, those of other partitions too. Two whose actors ask each
// other would wait for each other until both give up, again and again. Once it is frozen it waits for nobody.
//
// Invariant: whoever has the turn gives it back in bounded time, because each of its steps has an end.

export class OneAtRest {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** `work`, behind all that has been asked for before. It is told whether it had to wait. */
  alone<T>(work: (hasWaited: boolean) => Promise<T>): Promise<T> {
    const hasWaited = this.#waiting++ > 0;
    const done = this.#last.then(() => work(hasWaited));
    const over = (): void => void this.#waiting--;
    this.#last = done.then(over, over);
    return done;
  }
}
