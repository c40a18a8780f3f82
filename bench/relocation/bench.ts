// Moving actors from thread to thread while they are being talked to, thousands of times: how long each is paused, what
// an asker sees of it, and what became of every message.
//
//     main    ─ 4 tells, 1 ask, 4 tells, ... ─▶ ┌───────┐   relocate   thread 1 ─▶ 2 ─▶ 0 ─▶ 1 ...
//     thread 1 ─ the same ────────────────────▶ │ mover │
//                                               └───────┘   keeps the books: lost, doubled, reordered must be 0
//
// A row whose books are not in order is refused, whatever its figures.

import { call, type Node, type Ref, startNode, TroupeError } from '../../src/index.ts';
import { type BenchDefinition, type Contender, type Done, defineBench, type Workload } from '../harness.ts';
import { percentile } from '../stats.ts';
import { type Feeder, FeederT, type Mover, MoverT, type Sent, send } from './actors.ts';
import { audit } from './ledger.ts';

interface Plan {
  readonly actors: number;
  /** Threads the actors are moved to, in turn. */
  readonly places: readonly number[];
  /** Moves under way at once, of different actors. */
  readonly atOnce: number;
}

const hostThreads = 2;
const patient = { deadlineMs: 600_000 };
/** A move that was refused or called off is tried again; so often it may happen to one move. */
const triesMax = 20;

function contender(plan: Plan): Contender {
  let node: Node;
  let runs = 0;
  return {
    name: 'troupe',
    async setup() {
      node = await startNode({ threads: hostThreads, actors: [MoverT, FeederT] });
    },
    run: n => relocate(node, plan, n, runs++),
    teardown: () => node.stop(),
  };
}

async function relocate(node: Node, plan: Plan, n: number, run: number): Promise<Done> {
  const movers = Array.from({ length: plan.actors }, (_, i): Ref<Mover> => node.ref(MoverT, `${run}-${i}`));
  for (const mover of movers) await mover.ledger();
  const feeder: Ref<Feeder> = node.ref(FeederT, `${run}`);
  const before = await counts(node);

  let stopped = false;
  const sending = [send('main', movers, () => stopped), call(feeder, patient).feed('thread', movers)] as const;
  const began = performance.now();
  const moves = await moveAll(node, plan, movers, n).finally(async () => {
    stopped = true;
    await feeder.halt();
  });
  const ms = performance.now() - began;
  const [main, thread] = await Promise.all(sending);

  await check(movers, main, thread);
  const after = await counts(node);
  const during = (name: string): number => (after[name] ?? 0) - (before[name] ?? 0);
  if (during('lost') !== 0) throw new Error(`${during('lost')} messages lost, says the runtime`);
  const pauses = Float64Array.from(moves.pausedMs).sort();
  const messages = [...main.sent, ...thread.sent].reduce((sum, sent) => sum + sent, 0);
  return {
    done: pauses.length,
    value: percentile(pauses, 0.99),
    more: {
      'p50 ms': percentile(pauses, 0.5),
      'max ms': percentile(pauses, 1),
      'moves/s': (n / ms) * 1_000,
      'called off': moves.calledOff,
      'ask p50 ms': Math.max(main.askP50Ms, thread.askP50Ms),
      'ask p99 ms': Math.max(main.askP99Ms, thread.askP99Ms),
      'longest ask ms': Math.max(main.askMaxMs, thread.askMaxMs),
      messages,
      shipped: during('shipped'),
      forwarded: during('forwarded'),
      held: during('held'),
    },
  };
}

interface Moves {
  readonly pausedMs: number[];
  readonly calledOff: number;
}

/** n moves, each to the place after the one where the actor is. */
async function moveAll(node: Node, { places, atOnce }: Plan, movers: readonly Ref<Mover>[], n: number): Promise<Moves> {
  const pausedMs: number[] = [];
  let calledOff = 0;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < n) {
      const at = next++;
      // Whoever is at turn k goes to place k: no actor is in two lanes at once as long as there are more actors than lanes.
      const mover = movers[at % movers.length] as Ref<Mover>;
      const to = places[Math.floor(at / movers.length) % places.length] as number;
      for (let tries = 1; ; tries++) {
        try {
          const { pausedMs: ms } = await node.relocate(mover, `${node.name}/${to}`);
          const { thread } = await node.locate(mover);
          if (thread !== to) throw new Error(`moved to thread ${to}, found on thread ${thread}`);
          pausedMs.push(ms);
          break;
        } catch (thrown) {
          if (!(thrown instanceof TroupeError) || tries === triesMax) throw thrown;
          calledOff++;
        }
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, movers.length) }, lane));
  return { pausedMs, calledOff };
}

/** Every message came once, in its sender's order, and every ask was answered with what it asked for. */
async function check(movers: readonly Ref<Mover>[], main: Sent, thread: Sent): Promise<void> {
  let [lost, doubled, reordered] = [0, 0, 0];
  for (const [at, mover] of movers.entries()) {
    const accounts = await mover.ledger();
    for (const [name, { sent }] of Object.entries({ main, thread })) {
      const verdict = audit(accounts[name], sent[at] as number);
      lost += verdict.lost;
      doubled += verdict.doubled;
      reordered += verdict.reordered;
    }
  }
  if (lost + doubled + reordered > 0) throw new Error(`${lost} lost, ${doubled} doubled, ${reordered} reordered`);
  if (main.wrong + thread.wrong > 0) throw new Error(`${main.wrong + thread.wrong} asks had the answers of others`);
}

/** The counters of moves, over all threads. */
async function counts(node: Node): Promise<Record<string, number>> {
  const { threads } = (await node.describe()) as { threads: { router: { moves: Record<string, unknown> } }[] };
  const sums: Record<string, number> = {};
  for (const { router } of threads)
    for (const [name, value] of Object.entries(router.moves))
      if (typeof value === 'number') sums[name] = (sums[name] ?? 0) + value;
  return sums;
}

const plans: Record<string, Plan> = {
  '1 actor, between threads 1 and 2': { actors: 1, places: [2, 1], atOnce: 1 },
  '1 actor, between threads 0, 1 and 2': { actors: 1, places: [2, 0, 1], atOnce: 1 },
  '100 actors, 8 at once, between threads 0, 1 and 2': { actors: 100, places: [2, 0, 1], atOnce: 8 },
};

const definition: BenchDefinition = defineBench({
  name: 'relocation',
  about: 'Actors moved from thread to thread while the calling thread and another one send them numbered messages.',
  workloads({ param }) {
    const moves = param('moves', 200, 10_000);
    return Object.entries(plans).map(
      ([name, plan]): Workload => ({
        name,
        about: 'How long a move pauses its actor, and how long askers had to wait; nothing lost, doubled or reordered.',
        gauge: 'ms paused, p99',
        rounds: 1,
        alone: 'nothing else for Node moves an actor',
        opsMin: Math.min(moves, 100),
        opsMax: moves,
        contenders: [contender(plan)],
        goals: [{ ours: 'troupe', atMost: 50 }],
      }),
    );
  },
});

export default definition;
