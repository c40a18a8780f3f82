// Messages between two processes, node to node, and actors moved between them. Peers: Moleculer, HTTP, and bare sockets as a floor.

import { drive } from '../drive.ts';
import {
  type BenchDefinition,
  type Contender,
  type Done,
  defineBench,
  type Goal,
  type Ratio,
  type Workload,
} from '../harness.ts';
import type { Sampler } from '../stats.ts';
import type { ThreadSide } from '../threads/side.ts';
import { handing } from './handing.ts';
import { KeptSide } from './kept-side.ts';
import { moving } from './moving.ts';
import { loadSide, wayNames } from './ways.ts';

const sides = wayNames.map(name => ({ name, side: new KeptSide(() => loadSide(name)) }));

const contenders = (run: (side: ThreadSide, n: number, latency: Sampler) => Promise<Done>): Contender[] =>
  sides.map(({ name, side }) => ({
    name,
    setup: () => side.setup(),
    run: (n, latency) => side.run(open => run(open, n, latency)),
    teardown: () => side.teardown(),
  }));

const goal = (ours: string, peer: string, by: Ratio['by'], times: number): Goal => ({ ours, peer, by, times });

const ask = (inFlight: number, opsMax: number, goals: readonly Goal[]): Workload => ({
  name: `ask, ${inFlight === 1 ? 'one at a time' : `${inFlight.toLocaleString('en')} in flight`}`,
  about: 'A number there, the next one back, checked.',
  latency: true,
  opsMin: inFlight === 1 ? 50 : 1_024,
  opsMax,
  contenders: contenders(async (side, n, latency) => ({
    done: await drive({ n, inFlight, latency, ask: i => side.askNumber(i), ok: (reply, i) => reply === i + 1 }),
  })),
  goals,
});

const tell = (what: 'small' | '1 KiB', opsMax: number): Workload => ({
  name: `tell, ${what}`,
  about: `${what === 'small' ? 'Numbers' : 'Texts of 1 KiB'} one way, one send each; an operation is one message that the far process counted.`,
  opsMin: 1_000,
  opsMax,
  contenders: contenders((side, n) => (what === 'small' ? side.tellNumbers(n) : side.tellTexts(n))),
});

const definition: BenchDefinition = defineBench({
  name: 'cluster',
  about:
    'Between two nodes, each a process: asks, tells, and actors moved under load. Moleculer uses its own TCP transporter; over NATS it is ' +
    'not measured, because no nats-server is installed.',
  workloads({ param }) {
    const messages = param('messages', 1_000, 200_000);
    const asks = param('asks', 1_024, 100_000);
    const moves = param('moves', 20, 1_000);
    const [ours, peer] = ['troupe TCP', 'Moleculer'];
    return [
      ask(1, asks, [goal(ours, peer, 'p50', 2)]),
      ask(64, asks, [goal(ours, peer, 'rate', 5)]),
      ask(1_024, asks, [goal(ours, peer, 'rate', 5)]),
      tell('small', messages),
      tell('1 KiB', messages),
      moving(moves),
      handing(param('megabytes', 2, 100), param('handovers', 2, 8)),
    ];
  },
});

export default definition;
