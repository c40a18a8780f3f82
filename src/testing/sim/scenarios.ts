// All scenarios, by name. What a life is differs between them, and is nobody's business but their own.

import { counters } from './counters.ts';
import { links } from './links.ts';
import { membership } from './membership.ts';
import { nodes, replicas, replicaThreads, threads } from './node-scenarios.ts';
import type { Scenario } from './runner.ts';

export type AnyScenario = Scenario<any>;

export const scenarios: ReadonlyMap<string, AnyScenario> = new Map<string, AnyScenario>([
  [counters.name, counters],
  [links.name, links],
  [membership.name, membership],
  [nodes.name, nodes],
  [replicas.name, replicas],
  [threads.name, threads],
  [replicaThreads.name, replicaThreads],
]);
