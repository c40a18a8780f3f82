// What node.on() tells, and what goes out on the diagnostics channels 'troupe:<event>'.

import type { Refusal } from './runtime/links/peers.ts';
import type { RebalancerMove } from './runtime/rebalance/rebalancer.ts';
import type { Trouble } from './storage/upkeep.ts';

/** What node.on() tells. Payloads are plain data. */
export interface NodeEvents {
  relocating: (event: { id: string; epoch: number; from: number; to: number }) => void;
  relocated: (event: { id: string; epoch: number; from: number; to: number }) => void;
  'relocation-aborted': (event: { id: string; epoch: number; reason: string }) => void;
  'dead-letter': (event: { to: string; method: string; args: readonly unknown[]; why: string }) => void;
  'actor-failed': (event: { id: string; epoch: number; error: unknown; action: string }) => void;
  'thread-died': (event: { thread: number; error: string }) => void;
  'thread-restarted': (event: { thread: number; afterMs: number }) => void;
  /** A slot of the partition table, with all its actors, lives on another thread. */
  'slot-moved': (event: RebalancerMove) => void;
  'disk-low': (event: { freeBytes: number }) => void;
  /** What this node makes of another: heard of, reached, not heard of any more, gone. */
  'member-joined': (event: MemberEvent) => void;
  'member-up': (event: MemberEvent) => void;
  'member-suspect': (event: MemberEvent) => void;
  'member-down': (event: MemberEvent) => void;
  'member-restarted': (event: MemberEvent) => void;
  'member-leaving': (event: MemberEvent) => void;
  'member-left': (event: MemberEvent) => void;
  'member-removed': (event: MemberEvent) => void;
  'ring-changed': (event: { epoch: number; hash: string }) => void;
  /** Told on every node, once it routes by it. `turn`: how often that partition has changed hands. */
  'partition-handed': (event: { partition: number; from: string; to: string; turn: number }) => void;
  /** Of those this node hands on or is handed: begun; done, and how long it stood still here; not done, and tried again; come. */
  'partition-leaving': (event: { partition: number; to: string }) => void;
  'partition-left': (event: HandedOn) => void;
  'partition-stays': (event: { partition: number; to: string; reason: string }) => void;
  /** Of one whose owner is lost, and that several nodes keep: served here from now on. */
  'partition-taken-over': (event: { partition: number; from: string; turn: number }) => void;
  'partition-arrived': (event: { partition: number; from: string }) => void;
  /** Of those this node owns so many have had fewer copies than asked for some seconds. Told once, and again with 0 when none has. */
  'copies-missing': (event: { partitions: number; asked: number }) => void;
  /** Two clusters of one name were founded apart and have met. */
  'ring-conflict': (event: { member: string; why: string }) => void;
  /** A node and this one do not let each other in: another cluster, secret, version, certificate, number of replicas. */
  'peer-refused': (event: Refusal) => void;
  /** While ready() waits: nobody has answered for a while at an address of `join`; told again each minute. It is dialled until somebody does. */
  'join-unanswered': (event: { address: string; error: string; tries: number; forMs: number }) => void;
  /** This node is no member any more: it has left, another life of it runs, or it was removed. */
  halted: (event: { why: string }) => void;
  /** A flush or a merge has failed and is tried again, a file is damaged, or the disk does not answer. Told once, until it is something else. */
  'upkeep-trouble': (event: Trouble) => void;
}

export interface HandedOn {
  readonly partition: number;
  readonly to: string;
  readonly pausedMs: number;
  /** Of its records, sent while it served and after. */
  readonly bytes: number;
  readonly records: number;
  /** That were awake, and went along as they were. */
  readonly actors: number;
}

export interface MemberEvent {
  readonly member: string;
  readonly incarnation: number;
}
