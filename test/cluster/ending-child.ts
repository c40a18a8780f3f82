// A process that ends when there is nothing left to do: two nodes share a ring, a partition has just changed hands, both stop.

import { startNode } from '../../src/index.ts';
import { until } from '../threads/until.ts';
import { handoffTypes } from './handoff-actors.ts';
import { partitions } from './handoff-nodes.ts';

const options = { threads: 0, partitions, actors: handoffTypes, listen: '127.0.0.1:0' };
const n1 = await startNode({ ...options, name: 'n1' });
await n1.ready();
const n2 = await startNode({ ...options, name: 'n2', join: [n1.cluster.address] });
await until('both have a share', () => {
  const { owners, next } = n1.cluster.ring();
  return next.length === 0 && owners.includes('n2');
});
await Promise.all([n1.stop(), n2.stop()]);
console.log('stopped');
