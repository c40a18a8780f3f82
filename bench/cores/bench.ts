// The small parts everything else stands on, each alone, against what one would take instead.

import { type BenchDefinition, defineBench } from '../harness.ts';
import { histograms, latenciesPerTurn } from './histograms.ts';
import { partitions } from './partitions.ts';
import { queues } from './queues.ts';
import { rings } from './rings.ts';
import { segments } from './segments.ts';
import { timers } from './timers.ts';

const definition: BenchDefinition = defineBench({
  name: 'cores',
  about:
    'Mailbox, timer wheel, ring, partition of a key, log segment, histogram: each alone, against the obvious alternative.',
  workloads(context) {
    const depth = context.param('messages in a deep queue', 1_000, 100_000);
    const armed = context.param('timers armed', 100, 10_000);
    const opsMin = 2_000;
    const opsMax = 8_000_000;
    return [
      {
        name: 'queue, 64 deep',
        about: 'A message of a head and two arguments put in and taken out; 64 are put in, then taken out.',
        opsMin,
        opsMax,
        contenders: queues(64),
      },
      {
        name: 'queue, deep',
        about: 'The same while very many wait.',
        opsMin,
        opsMax,
        contenders: queues(depth),
      },
      {
        name: 'deadline set and cleared',
        about: 'A deadline in 5 s armed and cancelled, as every ask does, beside many that stay armed.',
        opsMin,
        opsMax,
        contenders: timers(armed),
      },
      {
        name: 'frames of 32 bytes to another thread',
        about: 'Written one by one as they come; an operation is one frame that the other thread counted and summed.',
        opsMin,
        opsMax: 2_000_000,
        contenders: rings(),
        goals: [{ ours: 'troupe ring', peer: 'postMessage', by: 'rate', times: 10 }],
      },
      {
        name: 'partition of a key',
        about: 'The top bits of the MD5 of a key of 16 characters; all must agree.',
        opsMin,
        opsMax,
        contenders: partitions(),
      },
      {
        name: 'segment: put',
        about: 'Records of 1 KiB written into a log segment and named in its index; all are read back.',
        opsMin: 1_009,
        opsMax: 16_144,
        contenders: segments(false),
      },
      {
        name: 'segment: get',
        about: 'All of them read back in another order, each a copy of its own.',
        opsMin: 1_009,
        opsMax: 16_144,
        contenders: segments(true),
      },
      {
        name: 'latency recorded',
        about: 'Latencies recorded, and at the end p50, p99 and the largest, which must be right to 2 %.',
        opsMin: latenciesPerTurn,
        opsMax,
        contenders: histograms(),
      },
    ];
  },
});

export default definition;
