// Our actors of the cluster bench: the one at the far end, and one that is moved between the nodes with one that sends to it. All live
// by the ring, which the far node has founded and owns alone.

import { defineActor } from '../../src/index.ts';
import { Feeder, Mover, moverOptions } from '../relocation/actors.ts';
import { Far } from '../threads/actors.ts';

export { Far, Feeder, Mover };

const here = import.meta.url;

export const FarT = defineActor(here, Far, {
  type: 'far',
  version: 1,
  placement: 'ring',
  persist: 'none',
  mailbox: { capacity: 4_096, bytes: 8 << 20, overflow: 'wait' },
});
export const MoverT = defineActor(here, Mover, moverOptions);
export const FeederT = defineActor(here, Feeder, {
  type: 'feeder',
  version: 1,
  placement: 'ring',
  persist: 'none',
  turns: { halt: 'interleave' },
});
