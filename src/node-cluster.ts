// How a node becomes one among others: its name and life, its ring in the node file, links over the sockets of the system.

import type { CheckedCluster } from './cluster-options.ts';
import { TroupeError } from './errors.ts';
import { aboutDir } from './node-home-host.ts';
import { Cluster } from './runtime/cluster/cluster.ts';
import { storedStateOf } from './runtime/cluster/ring-text.ts';
import type { Gateway } from './runtime/gateway/gateway.ts';
import { socketPeers } from './runtime/links/socket-peers-host.ts';
import { effective, type RingState } from './runtime/ownership/holdings.ts';
import type { RebalancerDoor } from './runtime/rebalance/rebalancer.ts';
import type { World } from './runtime/world.ts';
import type { NodeFile } from './storage/node-file.ts';

export interface NodeClusterOptions {
  readonly name: string;
  readonly partitions: number;
  readonly options: CheckedCluster;
  /** Undefined: nothing of this node is kept. */
  readonly file: NodeFile | undefined;
  readonly world: World;
  readonly rebalancer: RebalancerDoor;
  emit(name: string, payload: unknown): void;
}

/** Stores the life that begins before anybody hears of it. Throws BAD_OPTION as socketPeers does. */
export async function makeCluster(gateway: Gateway, node: NodeClusterOptions): Promise<Cluster> {
  const { name, partitions, options, file, world, emit } = node;
  const { cluster, zone, rack, weight, autoJoin, join } = options;
  // Its data lies where it would look for it no more, once the ring of others says so.
  if (file !== undefined && file.content.bootCount > 1 && file.content.incarnation === undefined && join.length > 0)
    throw new TroupeError(
      'BAD_OPTION',
      `${file.path}: this node has been alone and has data of its own, which a ring of others would hide; let it found the cluster ('listen' without 'join'), or begin in an empty directory`,
      { details: { option: 'join' } },
    );
  const seconds = Math.floor(world.clock.now() / 1_000);
  const incarnation = Math.max(seconds, (file?.content.incarnation ?? 0) + 1);
  await file?.update({ incarnation });
  const state = storedState(file, cluster, partitions);
  return new Cluster(gateway, {
    cluster,
    name,
    incarnation,
    partitions,
    zone,
    rack,
    weight,
    autoJoin,
    join,
    world,
    emit,
    rebalancer: node.rebalancer,
    state,
    saveState: ring => save(file, ring),
    handoffs: own => gateway.handoffs.attach(own),
    peers: handlers =>
      socketPeers({
        ...handlers,
        name,
        incarnation,
        cluster,
        world,
        listen: options.listen,
        advertise: options.advertise,
        peerVia: options.peerVia,
        replicas: options.replicas,
        secret: options.secret,
        insecure: options.insecure,
        tls: options.tls,
      }),
  });
}

/** UNKNOWN_OUTCOME passes as it is: the keeper stands by such a save until it is known. */
async function save(file: NodeFile | undefined, ring: RingState): Promise<void> {
  try {
    await file?.update({ ring });
  } catch (error) {
    throw aboutDir(file?.path, error);
  }
}

/** Throws BAD_OPTION: others own, or keep, a part of what this node would serve alone. */
export function refuseAlone(file: NodeFile): void {
  const { ring, name, partitions } = file.content;
  const { claim = ring } = (ring ?? {}) as { claim?: unknown };
  const state = storedState(file, String((claim as { cluster?: unknown } | undefined)?.cluster), partitions);
  if (state === undefined) return;
  const { cluster, members, owners } = effective(state);
  const others = new Set([...members.map(each => each.name), ...owners].filter(each => each !== name));
  if (others.size === 0) return;
  const who = [...others].sort().slice(0, 5).join(', ');
  throw new TroupeError(
    'BAD_OPTION',
    `${file.path}: '${name}' belongs to cluster '${cluster}' with ${who}, and alone it would serve what is theirs as if it were empty; start it with 'listen', as before`,
    { details: { option: 'listen', cluster, others: others.size } },
  );
}

function storedState(file: NodeFile | undefined, cluster: string, partitions: number): RingState | undefined {
  const stored = file?.content.ring;
  if (file === undefined || stored === undefined) return undefined;
  try {
    return storedStateOf(stored, cluster, partitions);
  } catch (error) {
    const { code, message, details } = error as TroupeError;
    throw new TroupeError(code === 'BAD_MESSAGE' ? 'CORRUPT' : code, `${file.path}: ${message}`, {
      cause: error,
      details,
    });
  }
}
