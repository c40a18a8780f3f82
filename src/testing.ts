// 'troupe/testing': test your own actors without threads, disk or waiting. API.md section 6.

export type { ClusterKit, KitNode } from './testing/cluster-kit-host.ts';
export {
  createTestKit,
  type RecordedEffect,
  type RecordedEvent,
  type TestKit,
  type TestKitOptions,
} from './testing/kit.ts';
export type { Expectation, Probe, ProbedMessage } from './testing/probe.ts';
export type { VirtualClock } from './testing/virtual-world.ts';
