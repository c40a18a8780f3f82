// Why the ring is cut into equal partitions that are claimed: how evenly keys lie, and how many move when a node comes or
// goes, beside the two older strategies of Dynamo, hash % n and rendezvous hashing. And what a claim costs.
//
// Only the claims are timed: the other figures are of the placement itself, the same on every machine.

import { md5First32 } from '../../src/runtime/md5.ts';
import { type Claimed, claimOwners } from '../../src/runtime/ownership/claim.ts';
import {
  type BenchContext,
  type BenchDefinition,
  type Contender,
  type Done,
  defineBench,
  type Workload,
} from '../harness.ts';
import { mean, seededRandom } from '../stats.ts';
import { claimed, modulo, type Placement, rendezvous, tokens, tokensOverPartitions } from './placements.ts';

interface Reading {
  readonly value: number;
  readonly more: Readonly<Record<string, number>>;
}

const named = (count: number): string[] => Array.from({ length: count }, (_, i) => `node-${i}`);

const definition: BenchDefinition = defineBench({
  name: 'ownership',
  about: 'Which node owns a key: balance and movement of five ways to decide it, and the time of a claim.',
  workloads(context) {
    const nodes = named(context.param('nodes', 5, 10));
    const keys = keysOf(context.param('keys', 2_000, 100_000));
    const ways = waysOf(context, nodes);
    const work = (name: string, about: string, gauge: string, read: (placement: Placement) => Reading): Workload => ({
      name,
      about,
      gauge,
      rounds: 1,
      opsMin: keys.length,
      opsMax: keys.length,
      contenders: ways.map(([way, rings]) => ({
        name: way,
        run: async n => ({ done: n, ...average(rings.map(make => read(make()))) }),
      })),
    });
    return [
      work('balance', 'Keys a node: standard deviation. max/mean is the fullest node.', '% of the mean', placement =>
        balance(keys, placement, nodes),
      ),
      work('a node joins', 'Keys that change their node; the ideal is 1 / (nodes + 1).', '% of the keys', placement =>
        movement(keys, placement, placement.join('newcomer'), 'newcomer'),
      ),
      work('a node leaves', 'Keys that change their node; the ideal is 1 / nodes.', '% of the keys', placement =>
        movement(keys, placement, placement.leave('node-1'), 'node-1'),
      ),
      ...claims(context),
    ];
  },
});

/** Ways with chance in them are averaged over several rings: a single one proves nothing (behaviours.md A-8). */
function waysOf(context: BenchContext, nodes: readonly string[]): [string, (() => Placement)[]][] {
  const partitions = context.param('partitions', 64, 1_024);
  const each = context.param('tokens a node', 16, 128);
  const rings = context.param('rings averaged', 3, 20);
  const chances = (make: (random: () => number) => Placement): (() => Placement)[] =>
    Array.from({ length: rings }, (_, seed) => () => make(seededRandom(seed + 1)));
  return [
    ['troupe, claimed', [() => claimed(nodes, partitions)]],
    ['troupe, strategy 1', chances(random => tokens(nodes, each, random))],
    ['troupe, strategy 2', chances(random => tokensOverPartitions(nodes, each, partitions, random))],
    ['modulo', [() => modulo(nodes)]],
    ['rendezvous', [() => rendezvous(nodes)]],
  ];
}

const keysOf = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, i) => md5First32(`key${i}`));

function balance(keys: Uint32Array, placement: Placement, nodes: readonly string[]): Reading {
  const counts = new Map(nodes.map(node => [node, 0]));
  for (const key of keys) {
    const node = placement.nodeOf(key);
    counts.set(node, (counts.get(node) as number) + 1);
  }
  const even = keys.length / nodes.length;
  const deviation = Math.sqrt(mean([...counts.values()].map(count => (count - even) ** 2)));
  return { value: (100 * deviation) / even, more: { 'max/mean': Math.max(...counts.values()) / even } };
}

/** `between`: moved although neither its old nor its new node is the one that came or went. */
function movement(keys: Uint32Array, before: Placement, after: Placement, who: string): Reading {
  let moved = 0;
  let between = 0;
  for (const key of keys) {
    const [from, to] = [before.nodeOf(key), after.nodeOf(key)];
    if (from === to) continue;
    moved++;
    if (from !== who && to !== who) between++;
  }
  return { value: (100 * moved) / keys.length, more: { 'between others %': (100 * between) / keys.length } };
}

function average(readings: readonly Reading[]): Reading {
  const names = Object.keys(readings[0]?.more ?? {});
  return {
    value: mean(readings.map(({ value }) => value)),
    more: Object.fromEntries(names.map(name => [name, mean(readings.map(({ more }) => more[name] as number))])),
  };
}

// ---- the time of a claim ----

function claims(context: BenchContext): Workload[] {
  const sizes = [
    ['small', context.param('nodes, small ring', 5, 10), context.param('partitions, small ring', 32, 64)],
    ['medium', context.param('nodes, medium ring', 10, 100), context.param('partitions, medium ring', 64, 1_024)],
    ['large', context.param('nodes, large ring', 20, 1_000), context.param('partitions, large ring', 128, 8_192)],
  ] as const;
  return sizes.map(([size, nodes, partitions]) => ({
    name: `claim, ${size} ring`,
    about: `${nodes} nodes, ${partitions} partitions: one claim. It counts when all are owned and none is too near its like.`,
    gauge: 'ms',
    alone: 'nobody else in the Node world claims partitions',
    opsMin: 1,
    opsMax: 1,
    contenders: claimers(nodes, partitions),
  }));
}

function claimers(nodes: number, partitions: number): Contender[] {
  const members = (count: number, zones = 1) =>
    named(count).map((name, i) => ({ name, weight: 1, zone: zones === 1 ? '' : `z${i % zones}`, rack: '' }));
  const nobody = new Array<string>(partitions).fill('');
  const whole = claimOwners({ owners: nobody, members: members(nodes) }).owners;
  const timed = (name: string, owners: readonly string[], of: ReturnType<typeof members>): Contender => ({
    name: `troupe, ${name}`,
    async run(): Promise<Done> {
      const began = performance.now();
      const found = claimOwners({ owners, members: of });
      const ms = performance.now() - began;
      return {
        done: isWhole(found) ? 1 : 0,
        ms,
        value: ms,
        more: { 'partitions moved': changes(owners, found.owners) },
      };
    },
  });
  return [
    timed('from nothing', nobody, members(nodes)),
    timed('from nothing, 3 zones', nobody, members(nodes, 3)),
    timed('one joins', whole, members(nodes + 1)),
    timed('one leaves', whole, members(nodes).toSpliced(1, 1)),
    timed('as many again join', whole, members(2 * nodes)),
  ];
}

const isWhole = ({ owners, warnings }: Claimed): boolean =>
  !owners.includes('') && !warnings.some(({ kind }) => kind === 'spacing');

const changes = (before: readonly string[], after: readonly string[]): number =>
  before.reduce((count, owner, p) => count + Number(owner !== after[p]), 0);

export default definition;
