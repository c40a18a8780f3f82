// Our actors of the local bench, in a module of their own because that is how threads load them.
//
// They share their thread with whoever measures, so the end of a run is told by a call, as it is by the closures of the
// peers, and not by an answer. Handlers that tell many await only when a mailbox was full.

import { Actor, defineActor, type Ref, tell } from '../../src/index.ts';

type Nothing = object;

/** Whom the actors tell: that the ball fell, that a counter is where it was to go, that one more actor is alive. */
export const hears: { over(): void; counted(): void; alive(): void } = { over() {}, counted() {}, alive() {} };

/** What the busy actor of the fairness workload has handled so far. */
export const busy: { handled: number } = { handled: 0 };

/** A place in a circle: passes a ball on until it has been caught `left` times more. */
export class Player extends Actor<{ handled: number; next: Ref<Player> | null }> {
  override initial() {
    return { handled: 0, next: null };
  }
  join(next: Ref<Player>): void {
    this.state.next = next;
    this.state.handled = 0;
  }
  take(left: number): void {
    this.state.handled++;
    if (left > 1) tell(this.state.next as Ref<Player>).take(left - 1);
    else hears.over();
  }
  handled(): number {
    return this.state.handled;
  }
}

export class Counter extends Actor<{ count: number; wanted: number }> {
  override initial() {
    return { count: 0, wanted: 0 };
  }
  expect(wanted: number): void {
    this.state.wanted = wanted;
  }
  hit(): void {
    if (++this.state.count === this.state.wanted) hears.counted();
  }
  count(): number {
    return this.state.count;
  }
}

export class Sender extends Actor<Nothing> {
  override initial() {
    return {};
  }
  async burst(sink: Ref<Counter>, messages: number): Promise<void> {
    const counter = tell(sink);
    for (let i = 0; i < messages; i++) {
      const slot = counter.hit();
      if (slot !== undefined) await slot;
    }
  }
}

export class Echo extends Actor<Nothing> {
  override initial() {
    return {};
  }
  next(value: number): number {
    return value + 1;
  }
}

/** Spawns n children and tells each. */
export class Parent extends Actor<Nothing> {
  override initial() {
    return {};
  }
  async grow(n: number): Promise<{ done: number; ms: number }> {
    const began = performance.now();
    const children = Array.from({ length: n }, () => this.self.spawn(ChildT));
    const ms = performance.now() - began;
    const done = await wake(children);
    for (const child of children) tell(child).leave();
    return { done, ms };
  }
  /** The children stay, and nobody holds a ref of them. */
  async keep(n: number): Promise<number> {
    const atOnce = 1_000;
    let done = 0;
    for (let first = 0; first < n; first += atOnce)
      done += await wake(Array.from({ length: Math.min(atOnce, n - first) }, () => this.self.spawn(ChildT)));
    return done;
  }
}

async function wake(children: readonly Ref<Child>[]): Promise<number> {
  let alive = 0;
  const all = Promise.withResolvers<void>();
  hears.alive = () => {
    if (++alive === children.length) all.resolve();
  };
  for (const child of children) tell(child).touch();
  await all.promise;
  return alive;
}

/** The smallest actor that has done something. */
export class Child extends Actor<{ touched: number }> {
  override initial() {
    return { touched: 0 };
  }
  touch(): void {
    if (++this.state.touched === 1) hears.alive();
  }
  leave(): void {
    this.self.stop();
  }
}

/** Has a million messages to handle, each of which takes it some 0.3 us. */
export class Busy extends Actor<{ hash: number }> {
  override initial() {
    return { hash: 0 };
  }
  work(message: number): void {
    this.state.hash = someWork(this.state.hash ^ message);
    busy.handled++;
  }
}

export function someWork(seed: number): number {
  let hash = seed;
  for (let i = 0; i < 200; i++) hash = Math.imul(hash ^ i, 0x01000193);
  return hash;
}

const here = import.meta.url;
const plain = { version: 1, placement: 'local', persist: 'none' } as const;
/** Senders that are faster than the counter wait for it; peers have no bounds, and queue all of a burst. */
const bounded = { capacity: 4_096, bytes: 1 << 20, overflow: 'wait' } as const;
/** A million messages are the point. */
const roomy = { capacity: 1 << 21, bytes: 1 << 30, overflow: 'reject' } as const;

export const PlayerT = defineActor(here, Player, { type: 'player', ...plain });
export const CounterT = defineActor(here, Counter, { type: 'counter', ...plain, mailbox: bounded });
export const SenderT = defineActor(here, Sender, { type: 'sender', ...plain });
export const EchoT = defineActor(here, Echo, { type: 'echo', ...plain });
export const ParentT = defineActor(here, Parent, { type: 'parent', ...plain });
export const ChildT = defineActor(here, Child, { type: 'child', ...plain });
export const BusyT = defineActor(here, Busy, { type: 'busy', ...plain, mailbox: roomy });

export const actors = [PlayerT, CounterT, SenderT, EchoT, ParentT, ChildT, BusyT];
