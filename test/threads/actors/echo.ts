// Actors that answer: one pinned to each of three threads, one that lives where its key says, one in every thread. A file of
// its own: threads import it by URL.

import { threadId } from 'node:worker_threads';
import { Actor, type ActorType, type AnyRef, call, defineActor, type Ref, tell } from '../../../src/index.ts';
import { blockUntil } from './block.ts';

export interface EchoState {
  seen: unknown[];
  kept: AnyRef | null;
}

/** What an ask came to. */
export type Outcome = readonly [code: string, details: Record<string, unknown>] | 'ok';

/** Turns held open on this thread, by the key of their actor. A thread has its own copy of this module. */
const held = new Map<string, (() => void)[]>();

export class Echo extends Actor<EchoState> {
  override initial(): EchoState {
    return { seen: [], kept: null };
  }

  echo(value?: unknown): unknown {
    return value;
  }
  all(...values: unknown[]): unknown[] {
    return values;
  }
  see(value: unknown): void {
    this.state.seen.push(value);
  }
  seen(): unknown[] {
    return this.state.seen;
  }
  /** The number of the thread, as the operating system's worker knows it. */
  thread(): number {
    return threadId;
  }
  me(): AnyRef {
    return this.self.ref();
  }
  keep(ref: AnyRef): void {
    this.state.kept = ref;
  }
  kept(): AnyRef | null {
    return this.state.kept;
  }
  throwing(): never {
    const error = new RangeError('out of range') as RangeError & { code: string };
    error.code = 'E_RANGE';
    throw error;
  }
  unsendable(): unknown {
    return { fn: () => 1 };
  }
  /** A turn that stays open until another actor on this thread lets it go. */
  async wait(): Promise<string> {
    await new Promise<void>(resolve => held.set(this.self.key, [...(held.get(this.self.key) ?? []), resolve]));
    return 'gone on';
  }
  /** Lets the turns of an actor on this thread go; how many there were. */
  release(key: string): number {
    const all = held.get(key) ?? [];
    held.delete(key);
    for (const go of all) go();
    return all.length;
  }
  isHeld(key: string): boolean {
    return held.has(key);
  }
  /** Holds up its whole thread, as soon as the answer is on its way, until there is a file of that name. */
  block(path: string): void {
    setImmediate(blockUntil, path);
  }
  /** Asks another one, and says how it went. */
  async relay(to: Ref<Echo>, method: 'echo' | 'wait' | 'relayBack' | 'throwing', value: unknown): Promise<Outcome> {
    const ask = (to as unknown as Record<string, (value: unknown) => Promise<unknown>>)[method] as (
      value: unknown,
    ) => Promise<unknown>;
    return outcomeOf(ask.call(to, value));
  }
  /** Asks whoever it is given: that one may be waiting for us. */
  async relayBack(to: Ref<Echo>): Promise<unknown> {
    return to.echo('back');
  }
  async bounded(to: Ref<Echo>, deadlineMs: number): Promise<Outcome> {
    return outcomeOf(call(to, { deadlineMs }).wait());
  }
  /** Tells and asks in turn, `count` of them. */
  async mix(to: Ref<Echo>, count: number): Promise<void> {
    const answers: Promise<unknown>[] = [];
    for (let i = 0; i < count; i++) {
      if (i % 3 === 0) answers.push(to.note(i));
      else tell(to).note(i);
      if (i % 100 === 99) await answers[answers.length - 1];
    }
    await Promise.all(answers);
  }
  note(i: number): number {
    this.state.seen.push(i);
    return i;
  }
}

async function outcomeOf(answer: Promise<unknown>): Promise<Outcome> {
  try {
    await answer;
    return 'ok';
  } catch (error) {
    const { code, details } = error as { code: string; details: Record<string, unknown> };
    return [code, details];
  }
}

const pinned = (thread: number): ActorType<Echo> =>
  defineActor(import.meta.url, Echo, {
    type: `echo-${thread}`,
    placement: 'pinned',
    thread,
    mailbox: { bytes: 32 << 20 },
  });

export const Echo0T: ActorType<Echo> = pinned(0);
export const Echo1T: ActorType<Echo> = pinned(1);
export const Echo2T: ActorType<Echo> = pinned(2);
export const EchoT: ActorType<Echo> = defineActor(import.meta.url, Echo, { type: 'echo' });
export const PoolEchoT: ActorType<Echo> = defineActor(import.meta.url, Echo, { type: 'pool-echo', placement: 'pool' });
export const LocalEchoT: ActorType<Echo> = defineActor(import.meta.url, Echo, {
  type: 'local-echo',
  placement: 'local',
});
export const echoTypes: readonly ActorType<Echo>[] = [Echo0T, Echo1T, Echo2T, EchoT, PoolEchoT, LocalEchoT];
