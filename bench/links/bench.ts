// Frames between two processes of one machine. Peers: the same over bare node:net, and process.send.

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
import { LinkSide } from './side.ts';
import { loadWay, wayNames } from './ways.ts';

type Run = (side: LinkSide, n: number, latency: Sampler) => Promise<Done>;

const contenders = (run: Run): Contender[] =>
  wayNames.map(name => {
    const side = new LinkSide(name, () => loadWay(name));
    return {
      name,
      setup: () => side.setup(),
      run: (n, latency) => run(side, n, latency),
      teardown: () => side.teardown(),
    };
  });

const goal = (ours: string, peer: string, by: Ratio['by'], times: number): Goal => ({ ours, peer, by, times });

const oneWay = (name: string, bytes: number, opsMin: number, opsMax: number, goals: readonly Goal[]): Workload => ({
  name: `one way, ${name}`,
  about: `Frames of ${bytes.toLocaleString('en')} bytes, each sent on its own; an operation is one frame that the far process counted.`,
  opsMin,
  opsMax,
  contenders: contenders((side, n) => side.hit(n, bytes)),
  goals,
});

const roundTrip = (inFlight: number, opsMin: number, opsMax: number): Workload => ({
  name: `there and back, ${inFlight === 1 ? 'one at a time' : `${inFlight} in flight`}, 64 bytes`,
  about: 'A frame there and back, its length checked.',
  latency: true,
  opsMin,
  opsMax,
  contenders: contenders(async (side, n, latency) => ({
    done: await drive({ n, inFlight, latency, ask: () => side.echo(64), ok: bytes => bytes === 64 }),
  })),
});

const definition: BenchDefinition = defineBench({
  name: 'links',
  about: 'Frames between two processes: one way, and there and back; TCP, TLS and Unix sockets.',
  workloads({ param }) {
    const frames = param('frames', 1_000, 1_000_000);
    const asks = param('asks', 200, 100_000);
    const large = param('large frames', 20, 2_000);
    return [
      oneWay('64 bytes', 64, 1_000, frames, [
        goal('troupe TCP', 'process.send', 'rate', 15),
        goal('troupe TLS', 'troupe TCP', 'rate', 0.5),
      ]),
      oneWay('1 KiB', 1_024, 500, frames, [goal('troupe TLS', 'troupe TCP', 'rate', 0.5)]),
      oneWay('1 MiB', 1 << 20, 10, large, []),
      roundTrip(1, 100, asks),
      roundTrip(64, 128, asks),
    ];
  },
});

export default definition;
