// What the copies of partitions need of the node that they are on, and of its cluster.

import type { EpochMemory } from '../epochs.ts';
import type { LeaseWords } from './lease-guard.ts';

export interface ReplicaCluster {
  /** Of gossip: nobody hears of it any more, or ever did; or it has said goodbye. */
  isDown(node: string): boolean;
  turnOf(partition: number): number;
  /** It is ours under that turn: durable, then everywhere. */
  takeOver(partition: number, turn: number): Promise<void>;
}

export interface ReplicasOptions {
  /** How many nodes shall keep each partition. */
  readonly replicas: number;
  readonly words: LeaseWords;
  /** What the words count in, less this thread's own clock. */
  readonly clockShift: number;
  raiseEpochs(above: number): Promise<void>;
  /** Of this node. */
  readonly epochs: EpochMemory;
}
