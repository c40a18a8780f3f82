// vnode/p: the actor that owns partition p on this node, in all stores. It reads, decides and commits in one go, so its
// requests may overlap while they wait for the disk: every method is `interleave`.
//
// Invariant: what it knows is on the disk, or rebuilt, but for its state: the operations done lately, which sleep and moves keep, and
// which it is allowed to forget.

import { frameBytesMax } from '../limits.ts';
import type { Activation } from '../runtime/activation.ts';
import { Actor } from '../runtime/actor.ts';
import { type ActorType, defineActor } from '../runtime/define-actor.ts';
import type { Operations } from './op-memo.ts';
import { type KeeperStats, VnodeKeeper } from './vnode-keeper.ts';
import type {
  DeleteWire,
  DigestReply,
  InspectReply,
  MergeWire,
  PageReply,
  PutWire,
  RecordWire,
  ScanWire,
  Soon,
  WriteReply,
} from './vnode-messages.ts';

export class Vnode extends Actor<Operations> {
  #keeper: VnodeKeeper | undefined;

  override initial(): Operations {
    return new Map();
  }

  private get keeper(): VnodeKeeper {
    this.#keeper ??= keeperFor(this);
    return this.#keeper;
  }

  put(store: string, key: Uint8Array, write: PutWire): Soon<WriteReply> {
    return this.keeper.put(store, key, write);
  }

  delete(store: string, key: Uint8Array, write: DeleteWire): Soon<WriteReply> {
    return this.keeper.delete(store, key, write);
  }

  merge(store: string, key: Uint8Array, record: MergeWire): Soon<boolean> {
    return this.keeper.merge(store, key, record);
  }

  get(store: string, key: Uint8Array): Soon<RecordWire | null> {
    return this.keeper.get(store, key);
  }

  inspect(store: string, key: Uint8Array): Soon<InspectReply | null> {
    return this.keeper.inspect(store, key);
  }

  scan(store: string, page: ScanWire): Soon<PageReply> {
    return this.keeper.scan(store, page);
  }

  digest(store: string, from: Uint8Array | null): Soon<DigestReply> {
    return this.keeper.digest(store, from);
  }

  count(store: string): Soon<number> {
    return this.keeper.count(store);
  }

  /** A merge is about to purge this store's share: the answer says what it must leave alone. */
  floor(store: string): Soon<number> {
    return this.keeper.floor(store);
  }

  stats(): KeeperStats {
    return this.keeper.stats;
  }
}

/** `self` is the activation; it knows the host, and the host the disk, the clock and the node's name. */
function keeperFor(vnode: Vnode): VnodeKeeper {
  const { host } = (vnode.self as Activation).hosted;
  return new VnodeKeeper({
    engine: host.engine,
    operations: vnode.state,
    node: host.node,
    partition: Number(vnode.self.key),
    fence: () => vnode.self.epoch,
    now: () => host.world.clock.now(),
    onFenced: () => vnode.self.stop(),
    mono: () => host.now(),
    leftMs: () => {
      const at = host.call?.at ?? 0;
      return at === 0 ? Number.POSITIVE_INFINITY : at - host.now();
    },
  });
}

export const VnodeT: ActorType<Vnode> = defineActor(import.meta.url, Vnode, {
  type: 'vnode',
  persist: 'none',
  placement: 'ring',
  // Whatever a link carries fits in: the largest value, and a record with all its siblings. The default would refuse both.
  mailbox: { bytes: frameBytesMax },
  idleMs: Number.POSITIVE_INFINITY,
  ownsShards: true,
  turns: {
    put: 'interleave',
    delete: 'interleave',
    merge: 'interleave',
    get: 'interleave',
    inspect: 'interleave',
    scan: 'interleave',
    digest: 'interleave',
    count: 'interleave',
    floor: 'interleave',
    stats: 'interleave',
  },
});
