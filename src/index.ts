// What a user imports. API.md is the reference; everything else is reached through these names.

export type { CompactorDoor as Compactor } from './actors/compactor.ts';
export type {
  GetOptions,
  GetResult,
  Inspection,
  PartitionDigest,
  PutOptions,
  ScanItem,
  ScanOptions,
  Store,
  WriteOptions,
  WriteResult,
} from './actors/store.ts';
export type { StoreOptionsInput as StoreOptions } from './actors/store-options.ts';
export { type Outcome, type TroupeCode, TroupeError, type TroupeErrorOptions } from './errors.ts';
export { Node, startNode } from './node.ts';
export type { MemberEvent, NodeEvents } from './node-events.ts';
export type { NodeOptions } from './options.ts';
export {
  Actor,
  type DeactivateReason,
  type Departure,
  type ReminderTime,
  type Self,
  type TimerId,
} from './runtime/actor.ts';
export type { ClusterView as Cluster } from './runtime/cluster/cluster-view.ts';
export type { TransferPhase, TransferStatus } from './runtime/cluster/handoff-hooks.ts';
export type { PlanChanges as RingChanges } from './runtime/cluster/plan-wishes.ts';
export {
  type ActorOptions,
  type ActorType,
  defineActor,
  type Persist,
  type Placement,
  type TurnMode,
} from './runtime/define-actor.ts';
export {
  type Behaviour,
  type BehaviourOptions,
  type BehaviourTurn,
  defineBehaviour,
  type Effect,
  type Outcome as BehaviourOutcome,
} from './runtime/define-behaviour.ts';
export type { MemberView } from './runtime/membership/gossip-types.ts';
export type { PlanOptions, RingPlan } from './runtime/ownership/ring-plan.ts';
export type {
  RebalancerDoor as Rebalancer,
  RebalancerMove,
  RebalancerRefusal,
  RebalancerReport,
} from './runtime/rebalance/rebalancer.ts';
export { type AnyRef, type CallOptions, call, type Ref, type TellStub, tell } from './runtime/refs.ts';
export type { Relocation } from './runtime/relocate-here.ts';
export type { SupervisionOptions } from './runtime/supervision.ts';
export type { Location } from './runtime/thread-troupe.ts';
export type { Log } from './runtime/world.ts';
export type { BackupOptions, BackupProgress, BackupResult } from './storage/backup/backup-store.ts';
export type { DamagedRun, RunTier, Trouble, UpkeepJob, UpkeepState, UpkeepStatus } from './storage/upkeep.ts';
