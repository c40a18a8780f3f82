// Every step of a move x every party x every fault, by name: 12 x 3 x 3 = 108 cases (research/reliability.md A5).
//
// The stage: the directory on host 0, the unit on host 1, a move to host 2 proposed by host 3, everybody sending all the
// while. A case strikes the moment before its step is taken. Besides the oracles each case says how the move has to end.

import type { Cores, Outcome } from './relocation-cores.ts';
import { type Point, Sim } from './relocation-sim.ts';

const [directory, source, target, proposer] = [0, 1, 2, 3];

type Party = 'source' | 'target' | 'network';
type Fault = 'crash' | 'pause' | 'spoil';
type Result = Outcome['result'];

interface Step {
  readonly name: string;
  readonly kind: Point['kind'];
  readonly type: string;
  readonly at: number;
}

const frame = (name: string, type: string, at: number): Step => ({ name, kind: 'frame', type, at });
const job = (name: string, type: string, at: number): Step => ({ name, kind: 'job', type, at });

export const steps: readonly Step[] = [
  frame('the directory reads the proposal', 'propose', directory),
  frame('the target is asked for room', 'reserve', target),
  frame('the directory hears that there is room', 'reserved', directory),
  frame('the source is told to freeze', 'freeze', source),
  job('the last turn at the source has ended', 'frozen', source),
  job('the source has packed', 'packed', source),
  frame('the first piece reaches the target', 'piece', target),
  job('the target has restored', 'restored', target),
  frame('the directory hears of it and switches', 'installed', directory),
  frame('the source hears of the switch', 'moved', source),
  frame('the first passed marker reaches the target', 'passed', target),
  frame('the directory hears that the unit has settled', 'settled', directory),
];

const [proposed, firstPiece, restored, switched] = [0, 6, 7, 8];

export interface Case {
  readonly name: string;
  readonly step: Step;
  readonly party: Party;
  readonly fault: Fault;
  readonly ends: readonly Result[];
}

/** The network's crash breaks every connection, its pause is that of the directory's thread, its spoilt message the directory's. */
const faultNames: Record<Party, Record<Fault, string>> = {
  source: {
    crash: 'the source crashes',
    pause: 'the source sleeps',
    spoil: "the source's next message is lost or repeated",
  },
  target: {
    crash: 'the target crashes',
    pause: 'the target sleeps',
    spoil: "the target's next message is lost or repeated",
  },
  network: {
    crash: 'all connections break',
    pause: 'the directory sleeps',
    spoil: "the directory's next message is lost or repeated",
  },
};

/** How the move may end. Before the switch a party that is gone ends it; once all is said it can do no harm any more. */
function endsOf(step: number, party: Party, fault: Fault): readonly Result[] {
  if (fault === 'spoil' || (party === 'network' && fault === 'crash')) return ['moved']; // sessions mend it
  const isCommitted = step > switched;
  if (isCommitted) return ['moved'];
  if (party === 'network') return step === proposed ? ['moved'] : ['moved', 'aborted'];
  if (party === 'target')
    return step === switched ? ['moved'] : step === proposed ? ['aborted', 'refused'] : ['aborted'];
  if (fault === 'pause') return step <= firstPiece ? ['aborted'] : ['moved'];
  // Whether the death of the source or the word of the target comes first is open; without an owner a proposal is a placement.
  if (step === proposed || step >= restored) return ['moved', 'aborted'];
  return ['aborted'];
}

export const cases: readonly Case[] = steps.flatMap((step, index) =>
  (['source', 'target', 'network'] as const).flatMap(party =>
    (['crash', 'pause', 'spoil'] as const).map(fault => {
      const name = `${step.name}: ${faultNames[party][fault]}`;
      return { name, step, party, fault, ends: endsOf(index, party, fault) };
    }),
  ),
);

const sleepMs = 60_000; // longer than every bound of the protocol together

/** Plays the case and gives the proposal's outcome. Throws what the oracles find. */
export function play(it: Case, seed: number, cores: Cores): Result {
  const sim = stage(seed, cores);
  sim.trigger = point => isAt(it.step, point) && strike(sim, it, seed);
  const result = finish(sim, it.name);
  if (it.fault === 'spoil' && sim.links.spoiltCount === 0) throw new Error(`'${it.name}' spoilt nothing`);
  return result;
}

/** The party sleeps and is taken for dead. The outcome is open; that nobody notices anything is not. */
export function playZombie(step: Step, party: 'source' | 'target', seed: number, cores: Cores): Result {
  const sim = stage(seed, cores);
  const victim = party === 'source' ? source : target;
  sim.trigger = point => {
    if (!isAt(step, point)) return false;
    sim.pause(victim, sleepMs);
    sim.declareDead(victim);
    return true;
  };
  return finish(sim, step.name);
}

function stage(seed: number, cores: Cores): Sim {
  const sim = new Sim({ seed, cores, hosts: 4, units: 1, messages: 3, moves: 0, sessions: true });
  sim.propose(proposer, 'counter/0', source);
  sim.runUntilQuiet();
  sim.quota = 20;
  return sim;
}

function finish(sim: Sim, name: string): Result {
  const ticket = sim.propose(proposer, 'counter/0', target);
  sim.runUntilQuiet();
  if (!sim.triggered) throw new Error(`'${name}' was never reached`);
  // Whatever has happened, the unit can be moved again.
  sim.propose(sim.host(target).isUp ? target : proposer, 'counter/0', proposer);
  sim.run();
  const [outcome] = sim.outcomes.get(ticket)?.got ?? [];
  return (outcome as Outcome).result;
}

const isAt = (step: Step, { kind, type, at }: Point): boolean =>
  kind === step.kind && type === step.type && at === step.at;

function strike(sim: Sim, { party, fault }: Case, seed: number): true {
  const victim = party === 'source' ? source : party === 'target' ? target : directory;
  if (fault === 'spoil') sim.links.spoilNext(victim, seed % 2 === 0 ? 'drop' : 'repeat');
  else if (party === 'network' && fault === 'crash') sim.breakAllLinks();
  else if (fault === 'crash') sim.crash(victim);
  else sim.pause(victim, sleepMs);
  return true;
}
