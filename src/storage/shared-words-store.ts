// Waiting for a word of shared memory to change, without holding up the event loop.

import type { SharedWords } from './shared-words.ts';

/** Resolves when the word is no longer `seen`, or after `ms`. */
export async function waitForNews({ news }: SharedWords, index: number, seen: number, ms: number): Promise<void> {
  const wait = Atomics.waitAsync(news, index, seen, ms);
  if (wait.async) await wait.value;
}
