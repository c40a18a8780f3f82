// What `node.cluster` offers, and what `node.describe()` shows of it. Types only.

import type { PeersDescription } from '../links/peers.ts';
import type { MemberView } from '../membership/gossip-types.ts';
import type { RebalancerDoor } from '../rebalance/rebalancer.ts';
import type { Cluster } from './cluster.ts';
import type { Joined } from './joining.ts';

export interface ClusterDescription {
  readonly cluster: string;
  readonly incarnation: number;
  /** `turns`: how often partitions have changed hands; `pending`: how many are to. */
  readonly ring: {
    readonly epoch: number;
    readonly hash: string;
    readonly birth: string;
    readonly turns: number;
    readonly pending: number;
  } | null;
  readonly members: readonly MemberView[];
  /** Addresses of `join` that have not led to a node yet. */
  readonly joining: readonly Joined[];
  readonly gossip: object;
  readonly links: PeersDescription;
}

/** What `node.cluster` offers. */
export type ClusterView = Pick<
  Cluster,
  'members' | 'ring' | 'preference' | 'plan' | 'commit' | 'transfers' | 'leave' | 'renewTls' | 'address' | 'describe'
> & { readonly rebalancer: RebalancerDoor };
