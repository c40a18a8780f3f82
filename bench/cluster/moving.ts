// An actor moved to and fro between two processes while both of them send to it: how long it is paused, what an asker sees of it, and
// what became of every message. A row whose books are not in order is refused, whatever its figures.
//
//     near ─ 4 tells, 1 ask, ... ─▶ ┌───────┐   relocate   far ─▶ near ─▶ far ...
//     far  ─ the same ────────────▶ │ mover │
//                                   └───────┘   its home, which all messages pass, is far

import { call, type Ref, TroupeError } from '../../src/index.ts';
import type { Contender, Done, Workload } from '../harness.ts';
import { type Feeder, type Mover, type Sent, send } from '../relocation/actors.ts';
import { audit } from '../relocation/ledger.ts';
import { percentile } from '../stats.ts';
import { FeederT, MoverT } from './actors.ts';
import { TwoNodes } from './ours.ts';

const patient = { deadlineMs: 600_000 };
/** A move that was refused or called off is tried again; so often it may happen to one move. */
const triesMax = 20;

export function moving(moves: number): Workload {
  return {
    name: '1 actor moved between two processes under load',
    about: 'How long a move pauses its actor, and how long askers had to wait; nothing lost, doubled or reordered.',
    gauge: 'ms paused, p99',
    rounds: 1,
    alone: 'nothing else for Node moves an actor',
    opsMin: Math.min(moves, 10),
    opsMax: moves,
    contenders: [contender()],
    goals: [{ ours: 'troupe', atMost: 50 }],
  };
}

function contender(): Contender {
  const nodes = new TwoNodes();
  let runs = 0;
  return {
    name: 'troupe',
    setup: () => nodes.start('troupe TCP', { threads: 0, tls: false }),
    run: n => relocate(nodes, n, `${runs++}`),
    teardown: () => nodes.stop(),
  };
}

async function relocate({ near }: TwoNodes, n: number, run: string): Promise<Done> {
  const mover: Ref<Mover> = near.ref(MoverT, run);
  const feeder: Ref<Feeder> = near.ref(FeederT, run);
  await mover.ledger();

  let stopped = false;
  const sending = [send('near', [mover], () => stopped), call(feeder, patient).feed('far', [mover])] as const;
  const pausedMs: number[] = [];
  let calledOff = 0;
  const began = performance.now();
  try {
    for (let turn = 0; turn < n; turn++) calledOff += await move(turn % 2 === 0 ? 'near' : 'far');
  } finally {
    stopped = true;
    await feeder.halt();
  }
  const ms = performance.now() - began;
  const [here, there] = await Promise.all(sending);

  /** Answers with how many tries were in vain. */
  async function move(to: string): Promise<number> {
    for (let tries = 1; ; tries++) {
      try {
        pausedMs.push((await near.relocate(mover, to)).pausedMs);
        const { node } = await near.locate(mover);
        if (node !== to) throw new Error(`moved to ${to}, found on ${node}`);
        return tries - 1;
      } catch (thrown) {
        if (!(thrown instanceof TroupeError) || tries === triesMax) throw thrown;
      }
    }
  }

  await check(mover, here, there);
  const pauses = Float64Array.from(pausedMs).sort();
  return {
    done: pauses.length,
    value: percentile(pauses, 0.99),
    more: {
      'p50 ms': percentile(pauses, 0.5),
      'max ms': percentile(pauses, 1),
      'moves/s': (n / ms) * 1_000,
      'called off': calledOff,
      'ask p50 ms': Math.max(here.askP50Ms, there.askP50Ms),
      'ask p99 ms': Math.max(here.askP99Ms, there.askP99Ms),
      'longest ask ms': Math.max(here.askMaxMs, there.askMaxMs),
      messages: (here.sent[0] as number) + (there.sent[0] as number),
    },
  };
}

/** Every message came once, in its sender's order, and every ask was answered with what it asked for. */
async function check(mover: Ref<Mover>, near: Sent, far: Sent): Promise<void> {
  const accounts = await mover.ledger();
  const verdicts = Object.entries({ near, far }).map(([name, { sent }]) => audit(accounts[name], sent[0] as number));
  const sum = (what: 'lost' | 'doubled' | 'reordered'): number =>
    verdicts.reduce((count, verdict) => count + verdict[what], 0);
  const [lost, doubled, reordered] = [sum('lost'), sum('doubled'), sum('reordered')];
  if (lost + doubled + reordered > 0) throw new Error(`${lost} lost, ${doubled} doubled, ${reordered} reordered`);
  if (near.wrong + far.wrong > 0) throw new Error(`${near.wrong + far.wrong} asks had the answers of others`);
}
