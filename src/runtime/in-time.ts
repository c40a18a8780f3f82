// A step that somebody else takes, and that may take too long.

import type { Clock, Millis } from './world.ts';

/** What `step` comes to, or, when it has not come to anything within so many ms, a rejection with what `late` says of it. */
export function inTime<T>(clock: Pick<Clock, 'timer'>, ms: Millis, step: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.timer(ms, () => reject(late()));
    step.then(resolve, reject).finally(cancel);
  });
}
