// What the directory remembers of a unit. See directory.ts for how these change.

import type { AbortReason, Epoch, HostId, Unit } from './relocation-messages.ts';
import type { Millis } from './world.ts';

export type EntryState = 'settled' | 'moving' | 'settling';

export interface Proposal {
  readonly by: HostId;
  readonly ticket: number;
  readonly to: HostId;
  readonly expect: Epoch;
}

export interface Move {
  phase: 'reserving' | 'shipping' | 'settling';
  readonly epoch: Epoch;
  readonly from: HostId;
  readonly to: HostId;
  /** Who waits for the outcome; undefined once a crash has given the unit to somebody else. */
  readonly proposal: Proposal | undefined;
  /** The old owner that forwards while the unit settles; nowhere before, and when it died. */
  via: HostId;
  deadlineAt: Millis;
}

export interface Entry {
  readonly unit: Unit;
  host: HostId;
  epoch: Epoch;
  state: EntryState;
  /** Present unless settled. */
  move: Move | undefined;
  /** A proposal that waits until the unit has settled. */
  next: Proposal | undefined;
}

export interface DirectoryReport {
  readonly units: number;
  readonly hosts: readonly HostId[];
  readonly spent: Epoch;
  readonly started: number;
  readonly committed: number;
  readonly settled: number;
  readonly granted: number;
  readonly refused: number;
  /** Switches whose old owner forwarded for longer than settleWarnMs. */
  readonly late: number;
  readonly aborted: Readonly<Partial<Record<AbortReason, number>>>;
  readonly motion: readonly MotionReport[];
}

export interface MotionReport {
  readonly unit: Unit;
  readonly host: HostId;
  readonly epoch: Epoch;
  readonly state: EntryState;
  readonly phase: Move['phase'] | undefined;
  readonly from: HostId | undefined;
  readonly to: HostId | undefined;
  readonly via: HostId | undefined;
  /** Where a proposal that waits its turn wants it. */
  readonly next: HostId | undefined;
}
