// How a node becomes one among others: its name and life, its ring in the node file, links over the sockets of the system.

import type { CheckedCluster } from './cluster-options.ts';
import { TroupeError } from './errors.ts';
import { aboutDir } from './node-home-host.ts';
import { Cluster } from './runtime/cluster/cluster.ts';
import { storedStateOf, voteOf } from './runtime/cluster/ring-text.ts';
import type { Gateway } from './runtime/gateway/gateway.ts';
import { socketPeers } from './runtime/links/socket-peers-host.ts';
import { effective } from './runtime/ownership/holdings.ts';
import type { RebalancerDoor } from './runtime/rebalance/rebalancer.ts';
import type { World } from './runtime/world.ts';
import type { NodeFile, NodeFileChange } from './storage/node-file.ts';

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
  const state = stored(file, file?.content.ring, ring => storedStateOf(ring, cluster, partitions));
  const vote =
    state === undefined ? stored(file, file?.content.vote, kept => voteOf(kept, cluster, partitions)) : undefined;
  if (file !== undefined && vote !== undefined && !isSame(votedWith(file), join)) throw hasVoted(file);
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
    memory: {
      ...{ state, vote },
      saveState: ring => save(file, { ring, vote: undefined }),
      saveVote: kept => save(file, { vote: { ...kept, join } }),
    },
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
        partitions,
        secret: options.secret,
        insecure: options.insecure,
        tls: options.tls,
      }),
  });
}

/** UNKNOWN_OUTCOME passes as it is: the keeper stands by such a save until it is known. */
async function save(file: NodeFile | undefined, change: NodeFileChange): Promise<void> {
  try {
    await file?.update(change);
  } catch (error) {
    throw aboutDir(file?.path, error);
  }
}

/** Throws BAD_OPTION: others own, or keep, a part of what this node would serve alone. */
export function refuseAlone(file: NodeFile): void {
  const { ring, vote, name, partitions } = file.content;
  if (ring === undefined && vote !== undefined) throw hasVoted(file);
  const { claim = ring } = (ring ?? {}) as { claim?: unknown };
  const cluster = String((claim as { cluster?: unknown } | undefined)?.cluster);
  const state = stored(file, ring, value => storedStateOf(value, cluster, partitions));
  if (state === undefined) return;
  const { members, owners } = effective(state);
  const others = new Set([...members.map(each => each.name), ...owners].filter(each => each !== name));
  if (others.size === 0) return;
  const who = [...others].sort().slice(0, 5).join(', ');
  throw new TroupeError(
    'BAD_OPTION',
    `${file.path}: '${name}' belongs to cluster '${cluster}' with ${who}, and alone it would serve what is theirs as if it were empty; start it with 'listen', as before`,
    { details: { option: 'listen', cluster, others: others.size } },
  );
}

/** Whom it joined then. */
function votedWith({ content }: NodeFile): readonly string[] {
  const { join } = (content.vote ?? {}) as { join?: unknown };
  return Array.isArray(join) ? join.map(String) : [];
}

const isSame = (a: readonly string[], b: readonly string[]): boolean =>
  JSON.stringify([...a].sort()) === JSON.stringify([...b].sort());

/** With others it would bring their ring back, and alone it would be another cluster. */
const hasVoted = (file: NodeFile): TroupeError =>
  new TroupeError(
    'BAD_OPTION',
    `${file.path}: this node has voted for the first ring of a cluster, and the others may have it by now; start it with 'listen' and join: ${JSON.stringify(votedWith(file))}, as before. Only if all of those begin anew: begin in an empty directory, too`,
    { details: { option: 'join' } },
  );

/** Throws CORRUPT for what is none, and BAD_OPTION for what is not for this node. */
function stored<T>(file: NodeFile | undefined, value: unknown, read: (value: unknown) => T): T | undefined {
  if (file === undefined || value === undefined) return undefined;
  try {
    return read(value);
  } catch (error) {
    const { code, message, details } = error as TroupeError;
    throw new TroupeError(code === 'BAD_MESSAGE' ? 'CORRUPT' : code, `${file.path}: ${message}`, {
      cause: error,
      details,
    });
  }
}
