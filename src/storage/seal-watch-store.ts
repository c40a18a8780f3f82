// Hands over the segment this thread writes, when somebody wants everything flushed.
//
// A look at a word ten times a second, not a wait: a waitAsync that is pending when its thread is terminated is one thing more that
// has to go well.

import { sealLookMs } from '../limits.ts';
import type { SharedWords } from './shared-words.ts';

/** Returns the way to stop watching. */
export function watchSeals(words: SharedWords, seal: () => Promise<void>): () => void {
  let { seals } = words;
  const timer = setInterval(() => {
    if (words.seals === seals) return;
    seals = words.seals;
    // A log that cannot be sealed is heard of by whoever writes to it.
    seal().catch(() => {});
  }, sealLookMs);
  timer.unref();
  return () => clearInterval(timer);
}
