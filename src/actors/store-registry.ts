// The stores of one node, as its user opens them: options agreed with `stores/all`, requests routed to `vnode/p`.
//
// With one node the preference list of every partition is this node alone; the cluster will pass a routing of its own.

import type { Actor } from '../runtime/actor.ts';
import type { ActorType } from '../runtime/define-actor.ts';
import { partitionOf } from '../runtime/partition.ts';
import { type AnyRef, call, type Ref } from '../runtime/refs.ts';
import type { Clock } from '../runtime/world.ts';
import type { Engine, Shard } from '../storage/engine.ts';
import type { Replica, Routing } from './coordinator.ts';
import { Store } from './store.ts';
import type { StoreOptions, StoreOptionsInput } from './store-options.ts';
import type { ValueCodec } from './store-value.ts';
import { StoresT, storesKey } from './stores-actor.ts';
import { VnodeT } from './vnode-actor.ts';
import { accepted, type RecordWire, type VnodeDoor } from './vnode-messages.ts';
import { shardNameOf } from './vnode-shard.ts';
import { WriteAdmission } from './write-admission.ts';

/** What the registry needs of the node it serves. */
export interface StoreHome {
  readonly node: string;
  readonly partitions: number;
  readonly clock: Clock;
  readonly codec: ValueCodec;
  /** This thread's. */
  readonly engine: Pick<Engine, 'shard' | 'shared' | 'refresh'>;
  /** What is durable here may be shown: nobody else has to have it. */
  readonly isAlone: boolean;
  /** Does that actor live on this node, whatever its thread? */
  isHere(ref: AnyRef): boolean;
  ref<A extends Actor<any>>(type: ActorType<A>, key: string): Ref<A>;
}

export class StoreRegistry {
  private readonly home: StoreHome;
  private readonly routing: Routing;
  /** Of the writes of all stores that this thread has under way. */
  readonly admission: WriteAdmission = new WriteAdmission();
  private readonly opened = new Map<string, Store>();

  constructor(home: StoreHome) {
    this.home = home;
    this.routing = soleRouting(home);
  }

  /** Opens a store, which is made if it is not there. Throws BAD_OPTION naming the option that differs. */
  async open(name: string, given: StoreOptionsInput): Promise<Store> {
    const before = this.opened.get(name);
    // Its options never change: who does not ask for any need not ask whether they are the same.
    if (before !== undefined && Object.keys(given).length === 0) return before;
    const options: StoreOptions = accepted(await this.home.ref(StoresT, storesKey).open(name, given, 1));
    const known = this.opened.get(name);
    if (known !== undefined) return known;
    const { clock, codec } = this.home;
    const store = new Store({ name, options, routing: this.routing, clock, codec, admission: this.admission });
    this.opened.set(name, store);
    return store;
  }

  describe(): object[] {
    return [...this.opened.values()].map(({ name, options }) => ({ name, ...options }));
  }
}

/** Every partition is kept by this node's vnode and nobody else. */
function soleRouting(home: StoreHome): Routing {
  const replicas: (readonly Replica[])[] = Array.from({ length: home.partitions }, (_, partition) => {
    const vnode = home.ref(VnodeT, String(partition));
    const door = (deadlineMs: number | undefined): VnodeDoor =>
      (deadlineMs === undefined ? vnode : call(vnode, { deadlineMs })) as unknown as VnodeDoor;
    const sole: Replica = { node: home.node, kind: 'primary', door };
    if (!home.engine.shared || !home.isAlone) return [sole];
    const shards = new Map<string, Shard>();
    const shardOf = (store: string): Shard => {
      const shard = home.engine.shard(shardNameOf(store, partition));
      shards.set(store, shard);
      return shard;
    };
    const peek = (store: string, key: Uint8Array): RecordWire | null | undefined => {
      if (!home.isHere(vnode)) return undefined;
      const shard = shards.get(store) ?? shardOf(store);
      home.engine.refresh(shard.name);
      // The vnode may be on this thread, and a write of its that is not durable must not be shown.
      if (shard.pending(key)) return undefined;
      const record = shard.get(key);
      return record === undefined ? null : [record.version, record.value];
    };
    return [{ ...sole, peek }];
  });
  return {
    partitions: home.partitions,
    partitionOf: key => partitionOf(key, home.partitions),
    replicas: partition => replicas[partition] ?? [],
  };
}
