// Actors on one thread: what a message, an answer and an actor cost. Peers: nact, XState.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { drive } from '../drive.ts';
import { type BenchDefinition, type Contender, type Done, defineBench, type Goal, lazily } from '../harness.ts';
import { fairness } from './fairness.ts';
import type { FairSide, LocalSide } from './side.ts';

const loaders: Record<string, () => Promise<() => LocalSide>> = {
  troupe: async () => (await import('./ours.ts')).troupeSide,
  nact: async () => (await import('./nact.ts')).nactSide,
  xstate: async () => (await import('./xstate.ts')).xstateSide,
};

/** XState runs whatever it is sent on the spot: it has no queue, and nothing else runs until it is done. */
const fairLoaders: Record<string, () => Promise<() => FairSide>> = {
  troupe: async () => (await import('./ours.ts')).troupeFairSide,
  nact: async () => (await import('./nact.ts')).nactFairSide,
};

/** Each library as a contender whose run is one method of its side. */
const contenders = (run: (side: LocalSide, n: number) => Promise<Done>, names = Object.keys(loaders)): Contender[] =>
  names.map(name =>
    lazily(name, loaders[name] as () => Promise<() => LocalSide>, make => {
      const side = make();
      return {
        name,
        setup: () => side.setup?.(),
        run: n => run(side, n),
        teardown: () => side.teardown?.(),
      };
    }),
  );

const asks = (inFlight: number): Contender[] =>
  contenders(async (side, n) => {
    const done = await drive({
      n,
      inFlight,
      ask: index => side.ask(index),
      ok: (reply, index) => reply === index + 1,
    });
    return { done };
  });

/** A process of its own for each reading, so that no garbage of another counts. By contender: what idle-child.ts makes. */
const idle = (kinds: Readonly<Record<string, string>>): Contender[] =>
  Object.entries(kinds).map(([name, kind]) => ({
    name,
    async run(n) {
      const child = fileURLToPath(new URL('./idle-child.ts', import.meta.url));
      const args = ['--expose-gc', '--max-old-space-size=4096', child, kind, String(n)];
      const { stdout } = await promisify(execFile)(process.execPath, args, { env: { PATH: process.env.PATH } }).catch(
        (thrown: { stderr?: string }) => {
          throw new Error(/^\w*Error\b.*$/m.exec(thrown.stderr ?? '')?.[0] ?? String(thrown));
        },
      );
      const { done, bytes, us } = JSON.parse(stdout) as { done: number; bytes: number; us: number };
      return { done, value: bytes, more: { 'us to make one': us } };
    },
  }));

const against = (nact: number, xstate: number): readonly Goal[] => [
  { ours: 'troupe', peer: 'nact', by: 'rate', times: nact },
  { ours: 'troupe', peer: 'xstate', by: 'rate', times: xstate },
];

const definition: BenchDefinition = defineBench({
  name: 'local',
  about: 'Actors on one thread: tells, asks, spawning, fairness, and the memory of an idle actor.',
  workloads({ mode, param }) {
    const opsMin = 1_000;
    const messages = param('messages', 1_000, 4_000_000);
    const requests = param('asks', 1_000, 1_000_000);
    const spawns = param('spawns', 1_000, 20_000);
    const actors = param('idle actors', 2_000, 100_000);
    const million = param('idle actors of ours', 2_000, 1_000_000);
    const queued = param('queued at a busy actor', 20_000, 1_000_000);
    const probes = param('probes of fairness', 20, 1_000);
    const bytes = { gauge: 'bytes an actor', rounds: mode === 'full' ? 2 : 1 };
    return [
      {
        name: 'tell ping-pong',
        about: 'Two actors throw one message to and fro; an operation is one message handled.',
        opsMin,
        opsMax: messages,
        contenders: contenders((side, n) => side.pingPong(n)),
        goals: against(40, 2.5),
      },
      {
        name: 'tell fan-in',
        about: '16 actors tell one; an operation is one message handled there.',
        opsMin,
        opsMax: messages,
        contenders: contenders((side, n) => side.fanIn(n)),
        goals: against(40, 2.5),
      },
      {
        name: 'ring of 1,000',
        about: 'A token goes round 1,000 actors; an operation is one hop.',
        opsMin,
        opsMax: messages,
        // Not XState: a ring of 1,000 is a call 6,000 deep there, and overflows the stack.
        contenders: contenders(async (side, n) => (await side.ring?.(n)) ?? { done: 0 }, ['troupe', 'nact']),
      },
      {
        name: 'flood, 1,000 queued',
        about: '1,000 messages are put into one mailbox in one go, then handled; an operation is one message handled.',
        opsMin,
        opsMax: messages,
        contenders: contenders((side, n) => side.flood(n)),
      },
      {
        name: 'ask, one at a time',
        about: 'A request and its checked answer before the next request.',
        opsMin,
        opsMax: requests,
        contenders: asks(1),
        goals: against(10, 1),
      },
      {
        name: 'ask, 64 in flight',
        about: '64 lanes of requests with checked answers.',
        opsMin,
        opsMax: requests,
        contenders: asks(64),
        goals: against(10, 1),
      },
      {
        name: 'spawn',
        about: 'New actors; each is then told something, unmeasured, to show that it lives.',
        opsMin: spawns,
        opsMax: spawns,
        contenders: contenders((side, n) => side.spawn(n)),
        goals: [{ ours: 'troupe', peer: 'nact', by: 'rate', times: 5 }],
      },
      {
        name: 'fairness',
        about:
          'What a quick actor waits beside one with very many queued messages, and how late a timer of 1 ms is meanwhile.',
        gauge: 'ms, p99',
        rounds: 3,
        opsMin: Math.min(probes, 100),
        opsMax: probes,
        contenders: Object.entries(fairLoaders).map(([name, load]) => fairness(name, load, queued)),
        goals: [{ ours: 'troupe', atMost: 5 }],
      },
      {
        ...bytes,
        name: 'idle actor',
        about: 'Heap and external bytes of an actor that has handled one message; in a process of its own.',
        opsMin: Math.min(actors, 2_000),
        opsMax: actors,
        contenders: idle({ troupe: 'troupe', nact: 'nact', xstate: 'xstate' }),
      },
      {
        ...bytes,
        name: 'idle actor, one of a million',
        about: 'The same, named and spawned (nobody holds a ref), beside a plain object with a state in a Map.',
        opsMin: 2_000,
        opsMax: million,
        contenders: idle({ 'troupe named': 'troupe', 'troupe spawned': 'spawned', 'objects in a Map': 'objects' }),
        goals: [
          { ours: 'troupe named', atMost: 200 },
          { ours: 'troupe spawned', atMost: 200 },
        ],
      },
    ];
  },
});

export default definition;
