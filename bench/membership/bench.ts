// What gossip costs and how soon it tells: a change spreading, a crash being found, silence that is no crash, bytes and messages.
//
// All of it is simulated in virtual time with fixed seeds, over the bytes that would be sent, each delayed by 1 to 101 ms: the
// figures are the same on every machine, loaded or not, and each is simulated once. A row counts only if nobody who lives was
// called down.

import { GossipSim } from '../../test/runtime/membership/gossip-sim.ts';
import { type BenchContext, type BenchDefinition, type Contender, type Done, defineBench } from '../harness.ts';
import { percentile, seededRandom } from '../stats.ts';

const second = 1_000;
const alone = 'it is our own machine that is simulated';

const definition: BenchDefinition = defineBench({
  name: 'membership',
  about: 'Gossip in virtual time: rounds until a change is known, time until a crash is, false suspicions, traffic.',
  workloads: context => [
    {
      name: 'a change reaches all',
      about: 'The application state of one member changes; p99 of the rounds (1 s) until every other has it.',
      gauge: 'rounds, p99',
      rounds: 1,
      alone,
      ...fixed(context.param('changes', 3, 200)),
      contenders: [spread(context.param('nodes told', 10, 50))],
      goals: [{ ours: `troupe, ${context.param('nodes told', 10, 50)} nodes`, atMost: 12 }],
    },
    ...(['small', 'large'] as const).map(size => ({
      name: `a crash is found, ${size} cluster`,
      about: 'A node stops without a word; seconds until every other calls it down. 18.4 s are the silence of phi 8.',
      gauge: 's, median',
      rounds: 1,
      alone,
      ...fixed(context.param(`crashes, ${size} cluster`, 1, size === 'small' ? 30 : 3)),
      deadlineMs: 1_200_000,
      contenders: (size === 'small'
        ? sizes(context, 'nodes, of which one crashes', [5], [5, 20, 50, 100])
        : sizes(context, 'many nodes, of which one crashes', [70], [200, 400, 1_000])
      ).map(crash),
    })),
    {
      name: 'an uneven hour',
      about: 'Rounds of 0.5 to 1.5 s by chance and 5 % of all messages lost; refused if anybody is suspected.',
      gauge: 'largest phi (threshold 8)',
      rounds: 1,
      alone,
      ...fixed(context.param('minutes', 2, 60)),
      deadlineMs: 600_000,
      contenders: sizes(context, 'nodes with uneven rounds', [5], [5, 50, 100]).map(uneven),
    },
    {
      name: 'traffic',
      about: 'What one node sends in a quiet cluster, payload only.',
      gauge: 'bytes a second',
      rounds: 1,
      alone,
      ...fixed(context.param('seconds of traffic', 5, 20)),
      deadlineMs: 600_000,
      contenders: sizes(context, 'nodes that chat', [10, 70], [10, 50, 100, 400, 1_000]).map(traffic),
    },
  ],
});

const fixed = (ops: number) => ({ opsMin: ops, opsMax: ops });

function sizes(context: BenchContext, name: string, small: readonly number[], full: readonly number[]): number[] {
  const chosen = context.mode === 'full' ? full : small;
  return chosen.map((size, at) => context.param(`${name} (${at + 1})`, size, size));
}

/** A second run would come to the same: the probe's reading is the round's. */
function contender(nodes: number, run: (n: number) => Done): Contender {
  let done: Done | undefined;
  return {
    name: `troupe, ${nodes} nodes`,
    run: async n => {
      done ??= run(n);
      return done;
    },
  };
}

/** Everybody up everywhere, and long enough for the windows to know what is usual. */
function settled(nodes: number, seed: number): GossipSim {
  const sim = new GossipSim(seed);
  sim.startMany(nodes);
  sim.acquaint();
  sim.run(40 * second);
  return sim;
}

const spread = (nodes: number): Contender =>
  contender(nodes, n => {
    const sim = settled(nodes, 7);
    const random = seededRandom(7);
    const cores = [...sim.nodes.values()].map(({ core }) => core);
    const rounds: number[] = [];
    for (let epoch = 1; epoch <= n; epoch++) {
      sim.run(second * random());
      const who = `n${Math.floor(random() * nodes)}`;
      sim.tell(who, { type: 'set', change: { app: { epoch, hash: '', blob: '' } } });
      const knows = (): boolean => cores.every(core => core.appOf(who)?.epoch === epoch);
      rounds.push(sim.run(60 * second, knows) / second);
    }
    const sorted = Float64Array.from(rounds).sort();
    const more = { p50: percentile(sorted, 0.5), max: percentile(sorted, 1) };
    return { done: n, value: percentile(sorted, 0.99), more };
  });

const crash = (nodes: number): Contender =>
  contender(nodes, n => {
    const eachMax = Math.ceil(nodes / 20);
    const took: number[] = [];
    const suspected: number[] = [];
    let wrong = 0;
    for (let seed = 1; took.length < n; seed++) {
      const sim = settled(nodes, seed);
      const dead = new Set<string>();
      while (dead.size < eachMax && took.length < n) {
        const who = `n${1 + dead.size * 7}`;
        dead.add(who);
        sim.node(who).crashed = true;
        const began = sim.now;
        const from = sim.events.length;
        took.push(sim.run(600 * second, allCallDown(sim, who, nodes - dead.size, from)) / second);
        const first = sim.events.slice(from).find(({ event }) => event.name === 'member-suspect');
        suspected.push(((first?.at ?? sim.now) - began) / second);
      }
      wrong += sim.events.filter(({ event }) => event.name === 'member-down' && !dead.has(event.member)).length;
    }
    const sorted = Float64Array.from(took).sort();
    const more = {
      longest: percentile(sorted, 1),
      'first suspects': percentile(Float64Array.from(suspected).sort(), 0.5),
    };
    return { done: wrong === 0 ? n : 0, value: percentile(sorted, 0.5), more };
  });

/** From events: to ask a thousand nodes in every step would cost more than the gossip. */
function allCallDown(sim: GossipSim, who: string, others: number, from: number): () => boolean {
  const told = new Set<string>();
  let read = from;
  return () => {
    for (; read < sim.events.length; read++) {
      const { node, event } = sim.events[read] as (typeof sim.events)[number];
      if (event.name === 'member-down' && event.member === who) told.add(node);
    }
    return told.size >= others;
  };
}

const uneven = (nodes: number): Contender =>
  contender(nodes, n => {
    const random = seededRandom(11);
    const sim = new GossipSim(11);
    for (let at = 0; at < nodes; at++)
      sim.start(`n${at}`, { roundMs: second / 2 }, () => second / 2 + second * random());
    sim.acquaint();
    sim.loss = 0.05;
    let largest = 0;
    for (let at = 0; at < n * 60; at++) {
      sim.run(second);
      const rows = sim.node(`n${at % nodes}`).core.members(sim.now);
      largest = Math.max(largest, ...rows.map(({ phi }) => phi));
    }
    const suspected = sim.count('member-suspect') + sim.count('member-down');
    return { done: suspected === 0 ? n : 0, value: largest, more: { suspected } };
  });

const traffic = (nodes: number): Contender =>
  contender(nodes, n => {
    const sim = settled(nodes, 5);
    const before = { ...sim.sent };
    sim.run(n * second);
    const each = (total: number): number => total / nodes / n;
    const messages = sim.sent.messages - before.messages;
    const bytes = sim.sent.bytes - before.bytes;
    return {
      done: n,
      value: each(bytes),
      more: { 'messages a second': each(messages), 'bytes a message': bytes / messages },
    };
  });

export default definition;
