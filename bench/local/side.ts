// What a library has to do to take part in the local bench. One thread, no durability, no deadlines unless the library
// insists; each method returns what it confirmed, never what it sent.

import type { Done } from '../harness.ts';

export interface LocalSide {
  setup?(): Promise<void> | void;
  /** Two actors throw a ball to each other; one operation is one throw, handled. */
  pingPong(n: number): Promise<Done>;
  /** `sendersMax` actors tell one counter; one operation is one message counted there. */
  fanIn(n: number): Promise<Done>;
  /** A token travels round `ringSize` actors; one operation is one hop, handled. Left out where it cannot be done. */
  ring?(n: number): Promise<Done>;
  /** `floodSize` messages are queued at one actor in one go, and waited for, again and again. */
  flood(n: number): Promise<Done>;
  /** A request with an answer of its own: i goes there, i + 1 comes back. */
  ask(value: number): Promise<number>;
  /** n new actors; what is measured is the spawning, what is confirmed is that each one then handled a message. */
  spawn(n: number): Promise<Done>;
  /** Makes n actors that have each handled a message and now wait for the next one; keeps them. */
  idle(n: number): Promise<Idle>;
  /** The same with actors that have no name. */
  idleSpawned?(n: number): Promise<Idle>;
  teardown?(): Promise<void> | void;
}

export interface Idle {
  readonly done: number;
  readonly keep: unknown;
}

/** A busy actor and a quick one beside it. */
export interface FairSide {
  setup(): Promise<void> | void;
  /** Queues messages at the busy actor in one go. */
  load(messages: number): void;
  /** Messages it has not handled. */
  backlog(): number;
  /** Asks the quick one: i goes there, i + 1 comes back. */
  ask(value: number): Promise<number>;
  /** True when the busy actor has handled everything, where that can be waited for. */
  drained(): Promise<boolean> | boolean;
  teardown(): Promise<void> | void;
}

export const sendersMax = 16;
export const ringSize = 1_000;
export const floodSize = 1_000;

/** Times the part of a run that counts. */
export async function timed(work: () => Promise<number>): Promise<Done> {
  const began = performance.now();
  const done = await work();
  return { done, ms: performance.now() - began };
}

/** The messages of one sender when n are shared out fairly. */
export const share = (n: number, parts: number, index: number): number =>
  Math.floor(n / parts) + (index < n % parts ? 1 : 0);
