// The directory of a node that is not alone, for tests of what the command does with it.

import { startNode } from '../../src/index.ts';
import { until } from '../threads/until.ts';

/** Made, and left by its node n1, whose ring has a member n2. */
export async function oneOfTwo(dataDir: string): Promise<void> {
  const own = { threads: 0, listen: '127.0.0.1:0', partitions: 8 };
  await using n1 = await startNode({ ...own, name: 'n1', dataDir });
  await using n2 = await startNode({ ...own, name: 'n2', join: [n1.cluster.address] });
  await n2.ready();
  const isMember = (): boolean => {
    const { next, owners } = n1.cluster.ring();
    return owners.includes('n2') || next.some(({ to }) => to === 'n2');
  };
  await until('n2 is a member', isMember);
}
