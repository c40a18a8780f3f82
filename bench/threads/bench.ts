// Messages between two threads of one process. Peers: bare postMessage, comlink, piscina.run.

import { drive } from '../drive.ts';
import {
  type BenchDefinition,
  type Contender,
  type Done,
  defineBench,
  type Goal,
  lazily,
  type Ratio,
  type Workload,
} from '../harness.ts';
import type { Sampler } from '../stats.ts';
import { type ThreadSide, text1k } from './side.ts';

type Make = () => ThreadSide;

/** The tells of piscina run with as many tasks a thread as its asks at 1,024: more does not make it faster. */
const loaders: Record<string, (inFlight: number) => Promise<Make>> = {
  troupe: async () => (await import('./ours.ts')).troupeSide,
  postMessage: async () => (await import('./post-message.ts')).postMessageSide,
  comlink: async () => (await import('./comlink.ts')).comlinkSide,
  piscina: async inFlight => {
    const { piscinaSide } = await import('./piscina.ts');
    return () => piscinaSide(inFlight);
  },
};

const contenders = (
  inFlight: number,
  run: (side: ThreadSide, n: number, latency: Sampler) => Promise<Done>,
): Contender[] =>
  Object.entries(loaders).map(([name, load]) =>
    lazily(
      name,
      () => load(inFlight),
      make => {
        const side = make();
        return {
          name,
          setup: () => side.setup(),
          run: (n, latency) => run(side, n, latency),
          teardown: () => side.teardown(),
        };
      },
    ),
  );

const asks = (inFlight: number, what: 'number' | 'text'): Contender[] =>
  contenders(inFlight, async (side, n, latency) => {
    const done =
      what === 'number'
        ? await drive({ n, inFlight, latency, ask: i => side.askNumber(i), ok: (reply, i) => reply === i + 1 })
        : await drive({ n, inFlight, latency, ask: () => side.askText(text1k), ok: reply => reply === text1k });
    return { done };
  });

const goal = (peer: string, by: Ratio['by'], times: number): Goal => ({ ours: 'troupe', peer, by, times });

const askGoals: Record<number, readonly Goal[]> = {
  1: [goal('piscina', 'p50', 10)],
  64: [goal('piscina', 'rate', 10), goal('postMessage', 'rate', 3)],
};

const definition: BenchDefinition = defineBench({
  name: 'threads',
  about: 'Between two threads: tells one way, and asks with 1, 64 and 1,024 in flight; numbers and texts of 1 KiB.',
  workloads({ param }) {
    const messages = param('messages', 2_000, 400_000);
    const requests = param('asks', 2_000, 200_000);
    const askWorkloads = [1, 64, 1_024].flatMap(inFlight =>
      (['number', 'text'] as const).map(
        (what): Workload => ({
          name: `ask, ${inFlight === 1 ? 'one at a time' : `${inFlight.toLocaleString('en')} in flight`}, ${what === 'number' ? 'small' : '1 KiB'}`,
          about:
            what === 'number'
              ? 'A number there, the next one back, checked.'
              : 'A text of 1 KiB there and back, checked.',
          latency: true,
          opsMin: inFlight === 1 ? 100 : 1_024,
          opsMax: requests,
          contenders: asks(inFlight, what),
          goals: what === 'number' ? (askGoals[inFlight] ?? []) : [],
        }),
      ),
    );
    return [
      {
        name: 'tell, unbatched, small',
        about: 'Numbers one way, one send each; an operation is one message that the far side counted.',
        opsMin: 1_000,
        opsMax: messages,
        contenders: contenders(1_024, (side, n) => side.tellNumbers(n)),
        goals: [goal('postMessage', 'rate', 10)],
      },
      {
        name: 'tell, unbatched, 1 KiB',
        about: 'Texts of 1 KiB one way, one send each; an operation is one message that the far side counted.',
        opsMin: 1_000,
        opsMax: messages,
        contenders: contenders(1_024, (side, n) => side.tellTexts(n)),
      },
      ...askWorkloads,
    ];
  },
});

export default definition;
