// The options of a node that make it one among others, checked once: a wrong one is a BAD_OPTION that names it.

import { TroupeError } from './errors.ts';
import { keptByMax, seedsMax } from './limits.ts';
import { checkNodeName } from './runtime/ids.ts';
import { formatAddress, parseAddress } from './runtime/links/address.ts';
import type { TlsIdentity } from './runtime/links/tls-wire.ts';
import { show } from './runtime/show.ts';

export interface ClusterNodeOptions {
  /** Where other nodes reach this one: 'host:port', '[v6]:port' or 'unix:/path'; port 0 takes a free one. Omit it: no network. */
  readonly listen?: string | undefined;
  /** What other nodes are told to dial, when it differs from `listen`. */
  readonly advertise?: string | undefined;
  /** Where to dial a node instead of where it says, by its name. */
  readonly peerVia?: Readonly<Record<string, string>>;
  /** Addresses of some of the others. Without any, a new node founds a cluster of its own. */
  readonly join?: readonly string[];
  /** Only nodes of one name form a cluster. Default 'default'. */
  readonly cluster?: string;
  readonly zone?: string;
  readonly rack?: string;
  /** How much of the ring it should own, relative to the others. Default 1. */
  readonly weight?: number;
  /**
   * Take nodes that are up and own nothing yet into the ring, once nothing has changed for 2 s. Default true. What counts is the
   * setting of the node that writes the ring, so give all nodes of a cluster the same.
   */
  readonly autoJoin?: boolean;
  /**
   * How many nodes keep the records of each partition: 1 (default), 3, 5 or 7, the same on all nodes of a cluster. With 3, a write is
   * acknowledged once two nodes have it, and what a lost node has owned is served by another. Needs a dataDir.
   */
  readonly replicas?: number;
  /** Text that all nodes share and prove to know, of at least 16 bytes. */
  readonly secret?: string | undefined;
  /** PEM: certificate and key of this node, issued to its name, and the CA of the cluster. All links are TLS 1.3 then. */
  readonly tls?: TlsIdentity | undefined;
  /** Listen where others can reach it without TLS and a secret: you trust everybody in that network. */
  readonly insecure?: boolean;
}

export interface CheckedCluster {
  readonly listen: string;
  readonly advertise: string | undefined;
  readonly peerVia: Readonly<Record<string, string>>;
  readonly join: readonly string[];
  readonly cluster: string;
  readonly zone: string;
  readonly rack: string;
  readonly weight: number;
  readonly autoJoin: boolean;
  readonly replicas: number;
  readonly secret: string | undefined;
  readonly tls: TlsIdentity | undefined;
  readonly insecure: boolean;
}

export const clusterOptionNames: readonly string[] = [
  'listen',
  'advertise',
  'peerVia',
  'join',
  'cluster',
  'zone',
  'rack',
  'weight',
  'autoJoin',
  'replicas',
  'secret',
  'tls',
  'insecure',
];
/** What says nothing without a network. The others (cluster, zone, ...) are facts that one set of options may state anyway. */
const needListen: readonly (keyof ClusterNodeOptions)[] = ['advertise', 'join', 'secret', 'tls'];
const namesCharsMax = 64;

/** Undefined: the node is alone. */
export function checkClusterOptions(options: ClusterNodeOptions): CheckedCluster | undefined {
  const { listen, advertise, peerVia = {}, join = [], weight = 1, secret, tls, insecure = false } = options;
  const { autoJoin = true, replicas = 1 } = options;
  const text = (name: 'cluster' | 'zone' | 'rack', otherwise: string): string => {
    const value = options[name] ?? otherwise;
    if (typeof value === 'string' && value.length <= namesCharsMax && (value !== '' || otherwise === '')) return value;
    throw bad(name, `${name} must be text of at most ${namesCharsMax} characters, not ${show(value)}`);
  };
  const facts = { cluster: text('cluster', 'default'), zone: text('zone', ''), rack: text('rack', '') };
  if (typeof weight !== 'number' || !Number.isFinite(weight) || weight < 0)
    throw bad('weight', `weight must be a number, 0 or more, not ${show(weight)}`);
  if (typeof insecure !== 'boolean') throw bad('insecure', `insecure must be true or false, not ${show(insecure)}`);
  if (typeof autoJoin !== 'boolean') throw bad('autoJoin', `autoJoin must be true or false, not ${show(autoJoin)}`);
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > keptByMax || replicas % 2 === 0)
    throw bad(
      'replicas',
      `replicas must be 1, 3, 5 or 7: more than half of them agree to a write; not ${show(replicas)}`,
    );
  if (!Array.isArray(join) || join.length > seedsMax)
    throw bad('join', `join must be an array of at most ${seedsMax} addresses, not ${show(join)}`);
  if (typeof peerVia !== 'object' || peerVia === null)
    throw bad('peerVia', `peerVia must be an object: { n2: '127.0.0.1:9112' }, not ${show(peerVia)}`);
  if (listen === undefined) {
    const idle = needListen.find(name => options[name] !== undefined && !(name === 'join' && join.length === 0));
    if (idle !== undefined)
      throw bad(idle, `option '${idle}' needs 'listen': a node without a network meets no others`);
    // Nobody else would keep what was to survive this node.
    if (replicas > 1)
      throw bad('replicas', "option 'replicas' needs 'listen': a node without a network is the only one");
    return undefined;
  }
  for (const name of Object.keys(peerVia)) checkNodeName(name);
  return {
    ...facts,
    weight,
    autoJoin,
    replicas,
    insecure,
    secret,
    tls,
    listen: address('listen', listen),
    advertise: advertise === undefined ? undefined : address('advertise', advertise),
    join: join.map(each => address('join', each)),
    peerVia: Object.fromEntries(Object.entries(peerVia).map(([name, at]) => [name, address('peerVia', at)])),
  };
}

function address(option: string, value: unknown): string {
  try {
    return formatAddress(parseAddress(value as string));
  } catch (error) {
    throw bad(option, `${option}: ${(error as Error).message}`);
  }
}

function bad(option: string, message: string): TroupeError {
  return new TroupeError('BAD_OPTION', message, { details: { option } });
}
