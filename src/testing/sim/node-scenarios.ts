// The scenarios of whole nodes, which differ in how many keep each partition, and in how many threads a node has.

import { type NodeRules, plan } from './node-plan.ts';
import type { NodesLife } from './node-talk.ts';
import { NodesRun } from './nodes.ts';
import type { Scenario } from './runner.ts';

function scenarioOf(name: string, rules: NodeRules): Scenario<NodesLife> {
  return { name, plan: draw => plan(draw, rules), begin: (sim, drawn) => new NodesRun(sim, drawn, rules) };
}

export const nodes: Scenario<NodesLife> = scenarioOf('nodes', { replicas: 1, safetyMs: 18_000 });
/** The same, with three copies of each partition: others take over what a lost node has owned. */
export const replicas: Scenario<NodesLife> = scenarioOf('replicas', { replicas: 3, safetyMs: 60_000 });
/** Both with actors on several threads of each node. */
export const threads: Scenario<NodesLife> = scenarioOf('threads', { replicas: 1, safetyMs: 18_000, threads: 2 });
export const replicaThreads: Scenario<NodesLife> = scenarioOf('replica-threads', {
  replicas: 3,
  safetyMs: 60_000,
  threads: 2,
});
