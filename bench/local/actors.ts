// Our actors of the local bench, in a module of their own because that is how threads load them.
//
// Handlers that tell many return a promise only when a mailbox was full: awaiting each tell would cost more than the tell.

import { Actor, defineActor, type Ref, tell } from '../../src/index.ts';

type Nothing = object;

/** A place in a circle: passes a ball on until it has been caught `left` times more. */
export class Player extends Actor<{ handled: number; next: Ref<Player> | null; referee: Ref<Referee> | null }> {
  override initial() {
    return { handled: 0, next: null, referee: null };
  }
  join(next: Ref<Player>, referee: Ref<Referee>): void {
    this.state.next = next;
    this.state.referee = referee;
    this.state.handled = 0;
  }
  take(left: number): void {
    this.state.handled++;
    if (left > 1) tell(this.state.next as Ref<Player>).take(left - 1);
    else tell(this.state.referee as Ref<Referee>).stop();
  }
  handled(): number {
    return this.state.handled;
  }
}

/** Says when the game is over: `over` is asked for before the ball flies and answered after it fell. */
export class Referee extends Actor<{ stopped: boolean }> {
  private whistle = Promise.withResolvers<void>();
  override initial() {
    return { stopped: false };
  }
  stop(): void {
    this.whistle.resolve();
  }
  async over(): Promise<void> {
    await this.whistle.promise;
    this.whistle = Promise.withResolvers<void>();
  }
}

/** Counts; `until` is answered when it has counted that far. */
export class Counter extends Actor<{ count: number }> {
  private wanted = 0;
  private reached = Promise.withResolvers<number>();
  override initial() {
    return { count: 0 };
  }
  hit(): void {
    if (++this.state.count === this.wanted) this.reached.resolve(this.wanted);
  }
  until(target: number): number | Promise<number> {
    if (this.state.count >= target) return this.state.count;
    this.wanted = target;
    this.reached = Promise.withResolvers<number>();
    return this.reached.promise;
  }
}

export class Sender extends Actor<Nothing> {
  override initial() {
    return {};
  }
  async burst(sink: Ref<Counter>, messages: number): Promise<void> {
    const counter = tell(sink);
    for (let i = 0; i < messages; i++) {
      const slot: unknown = counter.hit();
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

/** Spawns n children and tells each; the children count in a variable of the module: they share its thread. */
export class Parent extends Actor<Nothing> {
  override initial() {
    return {};
  }
  async grow(n: number): Promise<{ done: number; ms: number }> {
    let alive = 0;
    const finished = Promise.withResolvers<void>();
    born = () => {
      if (++alive === n) finished.resolve();
    };
    const began = performance.now();
    const children = Array.from({ length: n }, () => this.self.spawn(ChildT));
    const ms = performance.now() - began;
    for (const child of children) tell(child).wake();
    await finished.promise;
    for (const child of children) tell(child).leave();
    return { done: alive, ms };
  }
}

let born: () => void = () => {};

export class Child extends Actor<Nothing> {
  override initial() {
    return {};
  }
  wake(): void {
    born();
  }
  leave(): void {
    this.self.stop();
  }
}

/** The smallest actor that has done something. */
export class Idle extends Actor<{ touched: number }> {
  override initial() {
    return { touched: 0 };
  }
  touch(): number {
    return ++this.state.touched;
  }
}

const here = import.meta.url;
const plain = { version: 1, placement: 'local', persist: 'none' } as const;

export const PlayerT = defineActor(here, Player, { type: 'player', ...plain });
export const RefereeT = defineActor(here, Referee, { type: 'referee', ...plain, turns: { over: 'interleave' } });
export const CounterT = defineActor(here, Counter, {
  type: 'counter',
  ...plain,
  mailbox: { capacity: 4_096, bytes: 1 << 20, overflow: 'wait' },
  turns: { until: 'interleave' },
});
export const SenderT = defineActor(here, Sender, { type: 'sender', ...plain });
export const EchoT = defineActor(here, Echo, { type: 'echo', ...plain });
export const ParentT = defineActor(here, Parent, { type: 'parent', ...plain });
export const ChildT = defineActor(here, Child, { type: 'child', ...plain });
export const IdleT = defineActor(here, Idle, { type: 'idle', ...plain });

export const actors = [PlayerT, RefereeT, CounterT, SenderT, EchoT, ParentT, ChildT, IdleT];
