// A thread that does nothing but wait for a file: it takes no messages, so nothing else can end it.

import { existsSync } from 'node:fs';

/** Long after the test has given up: a thread must not be blocked for ever. */
const patienceMs = 60_000;

export function blockUntil(path: string): void {
  const end = performance.now() + patienceMs;
  while (!existsSync(path) && performance.now() < end);
}
