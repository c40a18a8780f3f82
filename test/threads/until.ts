// Waiting in tests: for a state that can be asked for, or for an event, never for a time.

import type { Node, NodeEvents } from '../../src/index.ts';

const patienceMsDefault = 30_000;

/** Asks again and again until the answer is yes. Fails, saying what it waited for, long after it should have come. */
export async function until(
  what: string | (() => string),
  isSo: () => boolean | Promise<boolean>,
  patienceMs: number = patienceMsDefault,
): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await isSo())) {
    if (performance.now() > end)
      throw new Error(`waited ${patienceMs} ms for: ${typeof what === 'string' ? what : what()}`);
    await new Promise(resolve => setTimeout(resolve, 2));
  }
}

/** Tells again, in later turns of the event loop, while it is refused with OVERLOADED. Answers with how often it was. */
export async function insist(send: () => Promise<void> | undefined): Promise<number> {
  for (let refused = 0; ; refused++) {
    try {
      await send();
      return refused;
    } catch (error) {
      if ((error as { code?: string }).code !== 'OVERLOADED') throw error;
    }
    await new Promise(resolve => setImmediate(resolve));
  }
}

/** Everything a node tells of one kind, from now on. */
export function eventsOf<E extends keyof NodeEvents>(node: Node, name: E): Parameters<NodeEvents[E]>[0][] {
  const seen: Parameters<NodeEvents[E]>[0][] = [];
  node.on(name, ((event: Parameters<NodeEvents[E]>[0]) => seen.push(event)) as never);
  return seen;
}

/** The error an ask or a move ends with; undefined when it ends well. */
export async function failureOf(
  work: Promise<unknown>,
): Promise<{ code: string; message: string; outcome: string; details: Record<string, unknown> } | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    const { code, message, outcome, details } = error as {
      code: string;
      message: string;
      outcome: string;
      details: Record<string, unknown>;
    };
    return { code, message, outcome, details };
  }
}
