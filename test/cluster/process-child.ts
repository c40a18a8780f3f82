// A process with one node in it, made to be killed and stopped from outside. It does what its parent asks over IPC and answers each
// request once; when the parent is gone, so is it.
//
//     in    [id, command, ...arguments]        out    [id, 'ok', value] or [id, 'error', { code, outcome, message }]; [0, 'ok', address]

import { call, startNode } from '../../src/index.ts';
import { BookT, DiaryT } from './book-actors.ts';

process.on('disconnect', () => process.exit(0));
const node = await startNode({ ...JSON.parse(process.argv[2] ?? ''), threads: 1, actors: [BookT, DiaryT] });
const types = { book: BookT, diary: DiaryT };
const refOf = (unit: string) => {
  const [type = '', key = ''] = unit.split('/');
  return node.ref(types[type as 'book'], key);
};

const commands = {
  ready: () => node.ready(),
  members: () => node.cluster.members(),
  ring: () => node.cluster.ring(),
  owner: (key: string) => node.cluster.preference(key, 1)[0],
  locate: (unit: string) => node.locate(refOf(unit)),
  relocate: (unit: string, to: string) => node.relocate(refOf(unit), to),
  write: (unit: string, sender: string, n: number, options: object) => call(refOf(unit), options).write(sender, n),
  read: (unit: string) => refOf(unit).read(),
  put: async (key: string, value: unknown) => void (await (await node.store('kept')).put(key, value)),
  get: async (key: string) => (await (await node.store('kept')).get(key)).values,
  stop: () => node.stop(),
};
export type Commands = typeof commands;

process.on('message', async ([id, command, ...args]: [number, keyof Commands, ...unknown[]]) => {
  try {
    const value = await (commands[command] as (...args: unknown[]) => unknown)(...args);
    process.send?.([id, 'ok', value ?? null]);
  } catch (error) {
    const { code, outcome, message } = error as { code: string; outcome: string; message: string };
    process.send?.([id, 'error', { code, outcome, message }]);
  }
});
process.send?.([0, 'ok', node.cluster.address]);
