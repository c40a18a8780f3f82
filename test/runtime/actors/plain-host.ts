// A host as production has it, but on virtual time: nobody looks on, so turns take the short roads that the kit never takes
// (an ask that runs at once, a tell straight into the mailbox, the loop that allocates nothing).

import type { Actor } from '../../../src/runtime/actor.ts';
import type { ActorType } from '../../../src/runtime/define-actor.ts';
import { Epochs, epochMemory } from '../../../src/runtime/epochs.ts';
import { Host } from '../../../src/runtime/host.ts';
import type { Ref } from '../../../src/runtime/refs.ts';
import { LocalRouter } from '../../../src/runtime/router.ts';
import type { MemoryStore } from '../../../src/storage/memory-store.ts';
import { virtualWorld } from '../../../src/testing/virtual-world.ts';

export interface PlainHost {
  readonly host: Host;
  readonly disk: MemoryStore;
  readonly events: { name: string; payload: any }[];
  ref<A extends Actor<any>>(type: ActorType<A>, key: string): Ref<A>;
  state(type: ActorType<any>, key: string): any;
  advance(ms: number): Promise<void>;
  settle(): Promise<void>;
}

export function plainHost(types: readonly ActorType<any>[]): PlainHost {
  const world = virtualWorld({ seed: 1 });
  const disk = world.storage.open({ kind: 'memory' }) as MemoryStore;
  const events: { name: string; payload: any }[] = [];
  const host = new Host({
    node: 'plain',
    thread: 0,
    world,
    router: made => new LocalRouter(made),
    epochs: new Epochs(epochMemory(1)),
    events: { emit: (name, payload) => events.push({ name, payload }) },
    types,
    engine: disk,
    partitions: 64,
  });
  /** Enough turns of the event loop for what the tests here do. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) await new Promise<void>(resolve => setImmediate(resolve));
  };
  world.clock.rest = settle;
  return {
    host,
    disk,
    events,
    ref: (type, key) => host.ref(type, key),
    state: (type, key) => host.byName.get(type.type)?.live.get(key)?.actor?.state,
    advance: ms => world.clock.advance(ms),
    settle,
  };
}
