// A process with one node in it, made to be killed and stopped from outside, that does what its parent asks.

import { serveParent } from '../../src/doors/tour/member.ts';
import { call, type Store, startNode } from '../../src/index.ts';
import { BookT, DiaryT } from './book-actors.ts';

const node = await startNode({ ...JSON.parse(process.argv[2] ?? ''), threads: 1, actors: [BookT, DiaryT] });
const types = { book: BookT, diary: DiaryT };
const refOf = (unit: string) => {
  const [type = '', key = ''] = unit.split('/');
  return node.ref(types[type as 'book'], key);
};

let opened: Promise<Store> | undefined;
/** Once: the node that knows its options may be dead later. */
function store(): Promise<Store> {
  opened ??= node.store('kept').catch(error => {
    opened = undefined;
    throw error;
  });
  return opened;
}

const pauses: number[] = [];
node.on('partition-left', ({ pausedMs }) => pauses.push(pausedMs));

const commands = {
  ready: () => node.ready(),
  open: async () => void (await store()),
  members: () => node.cluster.members(),
  ring: () => node.cluster.ring(),
  owner: (key: string) => node.cluster.preference(key, 1)[0],
  locate: (unit: string) => node.locate(refOf(unit)),
  relocate: (unit: string, to: string) => node.relocate(refOf(unit), to),
  write: (unit: string, sender: string, n: number, options: object) => call(refOf(unit), options).write(sender, n),
  read: (unit: string) => refOf(unit).read(),
  put: async (key: string, value: unknown) => void (await (await store()).put(key, value)),
  get: async (key: string) => (await (await store()).get(key)).values,
  replace: async (key: string, value: unknown) => {
    const kept = await store();
    const { context } = await kept.get(key);
    await kept.put(key, value, { context });
  },
  /** Partitions move, until each node has its share. */
  weigh: (weights: Record<string, number>) => node.cluster.commit(node.cluster.plan({ weights })),
  transfers: () => node.cluster.transfers(),
  describe: () => node.describe(),
  /** How long each partition stood still that was handed on since the last time. */
  lefts: () => pauses.splice(0),
  stop: () => node.stop(),
};
export type NodeCommands = typeof commands;

serveParent(commands, node.cluster.address);
