// A few nodes without a network: real vnodes on memory disks, doors between them that can be shut, and a clock that only
// moves when it is told to. What crosses a door is copied, as a thread or a socket would.

import { actorIdOf } from '../../src/actors/actor-id.ts';
import type { Replica, Routing } from '../../src/actors/coordinator.ts';
import { Store } from '../../src/actors/store.ts';
import type { Key } from '../../src/actors/store-key.ts';
import { readStoreOptions, type StoreOptionsInput } from '../../src/actors/store-options.ts';
import { VnodeKeeper } from '../../src/actors/vnode-keeper.ts';
import type { VnodeDoor } from '../../src/actors/vnode-messages.ts';
import { WriteAdmission } from '../../src/actors/write-admission.ts';
import { TroupeError } from '../../src/errors.ts';
import { createCodec } from '../../src/runtime/codec.ts';
import { partitionOf } from '../../src/runtime/partition.ts';
import type { Cancel, Clock } from '../../src/runtime/world.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';

export class TestClock implements Clock {
  private at = 1_000_000;
  private timers: { readonly at: number; readonly fn: () => void }[] = [];

  now(): number {
    return this.at;
  }
  mono(): number {
    return this.at;
  }
  timer(delayMs: number, fn: () => void): Cancel {
    const timer = { at: this.at + delayMs, fn };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter(other => other !== timer);
    };
  }
  soon(fn: () => void): void {
    queueMicrotask(fn);
  }
  micro(fn: () => void): void {
    queueMicrotask(fn);
  }
  get waiting(): number {
    return this.timers.length;
  }
  advance(ms: number): void {
    this.at += ms;
    const due = this.timers.filter(timer => timer.at <= this.at);
    this.timers = this.timers.filter(timer => timer.at > this.at);
    for (const { fn } of due) fn();
  }
}

/** Lets everything that is not waiting for the clock or a shut door happen. */
export async function quiet(): Promise<void> {
  for (let i = 0; i < 200; i++) await Promise.resolve();
}

/** open: as usual. slow: answers when it is opened again. refuses: a definite error. gone: takes nothing, answers nothing. */
export type DoorState = 'open' | 'slow' | 'refuses' | 'gone';

export class TestNode {
  readonly name: string;
  readonly disk = new MemoryStore();
  private state: DoorState = 'open';
  private readonly answering: (() => void)[] = [];
  /** Requests that came through the door, by method. */
  readonly asked: string[] = [];
  private readonly keepers = new Map<number, VnodeKeeper>();
  private readonly clock: Clock;

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.clock = clock;
  }

  get door(): DoorState {
    return this.state;
  }

  set door(state: DoorState) {
    this.state = state;
    if (state === 'open') for (const answer of this.answering.splice(0)) answer();
  }

  keeper(partition: number): VnodeKeeper {
    const known = this.keepers.get(partition);
    if (known !== undefined) return known;
    const made = new VnodeKeeper({
      engine: this.disk,
      node: this.name,
      partition,
      fence: () => 1,
      now: () => this.clock.now(),
      onFenced: () => undefined,
    });
    this.keepers.set(partition, made);
    return made;
  }

  doorTo(partition: number): VnodeDoor {
    const through =
      (method: keyof VnodeDoor) =>
      async (...args: unknown[]) => {
        this.asked.push(method);
        const work = this.keeper(partition)[method] as (...args: unknown[]) => unknown;
        const run = async () => structuredClone(await work.apply(this.keeper(partition), structuredClone(args)));
        switch (this.door) {
          case 'open':
            return run();
          case 'refuses':
            throw new TroupeError('OVERLOADED', `${this.name} has too much to do`);
          case 'slow': {
            const answer = await run();
            await new Promise<void>(resolve => this.answering.push(resolve));
            return answer;
          }
          case 'gone':
            return new Promise(() => undefined);
        }
      };
    const methods: (keyof VnodeDoor)[] = ['put', 'delete', 'merge', 'get', 'inspect', 'scan', 'digest', 'count'];
    return Object.fromEntries(methods.map(method => [method, through(method)])) as unknown as VnodeDoor;
  }
}

export interface TestCluster {
  readonly clock: TestClock;
  readonly nodes: TestNode[];
  readonly routing: Routing;
  readonly deadlines: (number | undefined)[];
  store(name: string, options?: StoreOptionsInput): Store;
}

const codec = createCodec({
  isRef: () => false,
  encodeRef: () => {
    throw new TypeError('there are no refs here');
  },
  decodeRef: () => undefined,
});

export function cluster(names: readonly string[], partitions = 8): TestCluster {
  const clock = new TestClock();
  const nodes = names.map(name => new TestNode(name, clock));
  const deadlines: (number | undefined)[] = [];
  const replica = (node: TestNode, partition: number): Replica => ({
    node: node.name,
    kind: 'primary',
    door: deadlineMs => {
      deadlines.push(deadlineMs);
      return node.doorTo(partition);
    },
  });
  const routing: Routing = {
    partitions,
    partitionOf: (key: Key) => partitionOf(key, partitions),
    replicas: (partition, n) => nodes.slice(0, n).map(node => replica(node, partition)),
  };
  return {
    clock,
    nodes,
    routing,
    deadlines,
    store: (name, options) =>
      new Store({
        name,
        options: readStoreOptions(options, nodes.length),
        routing,
        clock,
        codec,
        admission: new WriteAdmission(),
      }),
  };
}

export const firstActor = (node: string, partition: number): string => actorIdOf(node, partition, 1_000_000);
