// The scenarios of whole nodes, which differ in how many keep each partition, and in how many threads a node has.
//
// A seed belongs to what its scenario draws. So that those which have found something go on finding it, each scenario is here twice: as it is, and as
// it was before something was added to its plans.

import { type NodeRules, plan } from './node-plan.ts';
import type { NodesLife } from './node-talk.ts';
import { NodesRun } from './nodes.ts';
import type { Scenario } from './runner.ts';

/** By name. */
export const before = new Map<string, Scenario<NodesLife>>();

function scenarioOf(name: string, rules: NodeRules): Scenario<NodesLife> {
  before.set(name, made(name, { ...rules, isOld: true }));
  return made(name, rules);
}

function made(name: string, rules: NodeRules): Scenario<NodesLife> {
  return { name, plan: draw => plan(draw, rules), begin: (sim, drawn) => new NodesRun(sim, drawn, rules) };
}

export const nodes: Scenario<NodesLife> = scenarioOf('nodes', { replicas: 1, safetyMs: 18_000, acts: 3 });
/** The same, with three copies of each partition: others take over what a lost node has owned. */
export const replicas: Scenario<NodesLife> = scenarioOf('replicas', { replicas: 3, safetyMs: 60_000, acts: 3 });
/** Both with actors on several threads of each node. */
export const threads: Scenario<NodesLife> = scenarioOf('threads', {
  replicas: 1,
  safetyMs: 18_000,
  acts: 3,
  threads: 2,
});
export const replicaThreads: Scenario<NodesLife> = scenarioOf('replica-threads', {
  replicas: 3,
  safetyMs: 60_000,
  acts: 3,
  threads: 2,
});
