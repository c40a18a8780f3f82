// Hands over the segment this thread writes: when somebody wants everything flushed, and when what is in it has become old. A log that
// gets little would otherwise be read again at every start, hold a segment, and keep merges from forgetting anything newer. Between
// two such moments the log may rest, and says in the log itself that it does (log/README.md, marks).
//
// A look at a word ten times a second, not a wait: a waitAsync that is pending when its thread is terminated is one thing more that
// has to go well.

import { sealLookMs, upkeepRetryMs } from '../limits.ts';
import type { SharedWords } from './shared-words.ts';

export interface SealSeams {
  readonly words: SharedWords;
  seal(): Promise<void>;
  isOld(): boolean;
  /** At each look that asks for nothing. */
  rest(): void;
}

/** Returns the way to stop watching. */
export function watchSeals({ words, seal, isOld, rest }: SealSeams): () => void {
  let { seals } = words;
  let underWay = false;
  let notBefore = 0;
  const timer = setInterval(() => {
    const isAsked = words.seals !== seals;
    if (underWay) return;
    if (!isAsked && !(isOld() && performance.now() >= notBefore)) return rest();
    seals = words.seals;
    underWay = true;
    const failed = (): void => {
      // A log that cannot be sealed is heard of by whoever writes to it.
      notBefore = performance.now() + upkeepRetryMs;
    };
    const ended = (): void => {
      underWay = false;
    };
    seal().catch(failed).then(ended);
  }, sealLookMs);
  timer.unref();
  return () => clearInterval(timer);
}
