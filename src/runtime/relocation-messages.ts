// Everything that is said while a unit moves, each shape once: between the directory and the hosts, between two hosts,
// and what the cores ask of the runtime around them (effects) and hear back from it (inputs).
//
// A *unit* is what moves as a whole: an actor 'cart/user-7', or a partition '#12' with all its actors. Payloads (user
// messages, packed bytes) are opaque here. RELOCATION.md draws the states with these messages on the arrows.
//
// Invariant: a message about a move carries the epoch of that move, so whatever is late can be told from what is due.

import {
  relocateHeldMax,
  relocateInstallMs,
  relocateLateMax,
  relocateMoveMs,
  relocatePackMs,
  relocateParkedMax,
  relocatePiecesInFlight,
  relocatePiecesMax,
  relocateReserveMs,
  relocateResolvingMax,
  relocateSettleWarnMs,
  relocateSilenceMs,
  relocateTurnMsDefault,
  routesMax,
} from '../limits.ts';
import type { Piece } from './relocation-pieces.ts';
import type { Millis } from './world.ts';

export type Unit = string;

/** One life of one host thread. A thread that was restarted is a new host with a new number, or its past could speak for it. */
export type HostId = number;

/** Rising, never used twice for a unit, not even for a move that came to nothing. Storage refuses the lower of two. */
export type Epoch = number;

/** No host. As an owner: ask the directory. As `via`: nobody forwards. */
export const nowhere: HostId = -1;

/** Why a move came to nothing. The unit then stays where it was, or, when that host died, comes back from disk. */
export type AbortReason =
  | 'no-room' // the target has none
  | 'not-owner' // the source does not run the unit, or the target is busy with it already
  | 'turn-timeout' // a turn or an outstanding ask did not end in time
  | 'pack-failed'
  | 'pack-timeout'
  | 'ship-timeout' // the target stopped acknowledging pieces
  | 'damaged' // a piece did not match its checksum or its place
  | 'version' // the target runs another version of the type and cannot convert
  | 'decode'
  | 'install-timeout'
  | 'silent' // the source stopped sending pieces
  | 'source-died'
  | 'target-died'
  | 'watchdog';

/** Why a move was not even begun. Nothing has changed; trying again later is fine. */
export type RefuseReason = 'busy' | 'same-host' | 'target-down' | 'stale' | 'owner-died';

export type InstallFailure = 'version' | 'decode' | 'no-room';

/** What a finished move has to show. pausedMs is measured on one clock, the source's: from freeze to the verdict. */
export interface MoveStats {
  readonly pausedMs: Millis;
  /** Messages that travelled inside the pack. */
  readonly shipped: number;
  /** Messages that reached the old owner after the pack and were sent on. */
  readonly forwarded: number;
  /** Messages that reached the new owner early and waited for a marker. */
  readonly held: number;
}

/** The answer to a proposal: exactly one for each, unless the proposer's host dies. Stats are missing when a host took them along. */
export type Outcome =
  | { readonly result: 'moved'; readonly epoch: Epoch; readonly stats: MoveStats | undefined }
  | { readonly result: 'aborted'; readonly epoch: Epoch; readonly reason: AbortReason }
  | { readonly result: 'refused'; readonly reason: RefuseReason };

/** Told to the directory. */
export type ToDirectory =
  | { readonly type: 'resolve'; readonly unit: Unit }
  /** `expect`, when not 0, is the epoch the proposer saw: a compare-and-swap. */
  | {
      readonly type: 'propose';
      readonly unit: Unit;
      readonly to: HostId;
      readonly expect: Epoch;
      readonly ticket: number;
    }
  | { readonly type: 'reserved'; readonly unit: Unit; readonly epoch: Epoch }
  | { readonly type: 'installed'; readonly unit: Unit; readonly epoch: Epoch }
  /** Source or target ask for the end of a move. They wait for the verdict: the switch may have been faster. */
  | { readonly type: 'abort'; readonly unit: Unit; readonly epoch: Epoch; readonly reason: AbortReason }
  /** The new owner has heard the last of the old one. */
  | { readonly type: 'settled'; readonly unit: Unit; readonly epoch: Epoch; readonly stats: MoveStats | undefined };

/** Told by the directory. Each host reads these in the order in which the directory decided. */
export type FromDirectory =
  | { readonly type: 'located'; readonly unit: Unit; readonly host: HostId; readonly epoch: Epoch }
  /** You own it from now on; bring it up from disk. */
  | { readonly type: 'grant'; readonly unit: Unit; readonly epoch: Epoch }
  | { readonly type: 'reserve'; readonly unit: Unit; readonly epoch: Epoch; readonly from: HostId }
  | { readonly type: 'freeze'; readonly unit: Unit; readonly epoch: Epoch; readonly to: HostId }
  /** To the target: forget the move of this epoch. */
  | { readonly type: 'cancel'; readonly unit: Unit; readonly epoch: Epoch }
  /** To the source: the move of epoch `aborted` is off, go on under `epoch`. */
  | { readonly type: 'thaw'; readonly unit: Unit; readonly epoch: Epoch; readonly aborted: Epoch }
  | Moved
  /** `tombstones`: units whose old owner died while it still forwarded, with the epoch of their switch. */
  | { readonly type: 'died'; readonly host: HostId; readonly tombstones: readonly (readonly [Unit, Epoch])[] }
  | { readonly type: 'outcome'; readonly ticket: number; readonly unit: Unit; readonly outcome: Outcome };

/** To every host: the unit has a new owner. `via` is the old one, which forwards until all of `hosts` sent it a marker. */
export interface Moved {
  readonly type: 'moved';
  readonly unit: Unit;
  readonly epoch: Epoch;
  readonly to: HostId;
  readonly via: HostId;
  readonly hosts: readonly HostId[];
  /** Whether the new owner runs what was shipped to it, or starts from disk because an owner died. */
  readonly how: 'shipped' | 'disk';
}

/** Between two hosts, on the one link on which they also send user messages: a marker must not overtake those. */
export type BetweenHosts<P> =
  | { readonly type: 'piece'; readonly unit: Unit; readonly epoch: Epoch; readonly piece: Piece }
  | { readonly type: 'piece-ok'; readonly unit: Unit; readonly epoch: Epoch; readonly count: number }
  | DataMessage<P>;

/** What has a place in the order of a unit's messages. */
export type DataMessage<P> =
  /** A user message, with the epoch its sender's host believes in. */
  | { readonly type: 'direct'; readonly unit: Unit; readonly epoch: Epoch; readonly payload: P }
  /** To the old owner: everything I send to this unit from here on goes to the new one. */
  | { readonly type: 'marker'; readonly unit: Unit; readonly epoch: Epoch }
  /** From the old owner: a message that host `from` had sent to it. */
  | { readonly type: 'forward'; readonly unit: Unit; readonly epoch: Epoch; readonly from: HostId; readonly payload: P }
  /** From the old owner: host `from` has sent its marker, or died. */
  | { readonly type: 'passed'; readonly unit: Unit; readonly epoch: Epoch; readonly from: HostId }
  /** From the old owner: that was all. */
  | { readonly type: 'parted'; readonly unit: Unit; readonly epoch: Epoch; readonly stats: Omit<MoveStats, 'held'> };

export type Control<P> = ToDirectory | FromDirectory | BetweenHosts<P>;

const directoryTypes = new Set<string>(['resolve', 'propose', 'reserved', 'installed', 'abort', 'settled']);

/** On the host of the directory: is this frame for the directory, or for the route of that host? */
export function isForDirectory<P>(message: Control<P>): message is ToDirectory {
  return directoryTypes.has(message.type);
}

/** A message that was turned away, for sure not processed. Which bound did it, from limits.ts. */
export type RefusedBy = 'late' | 'held' | 'parked' | 'resolving';

/** What a host's cores ask of its runtime, to be done in this order. */
export type HostEffect<P> =
  | { readonly type: 'send'; readonly to: HostId; readonly message: ToDirectory | BetweenHosts<P> }
  /**
   * Into the unit's mailbox on this host, whether it runs yet or not. `accepted`: take it even if the mailbox is full,
   * another bound has already let it in. Otherwise the mailbox decides as for any message.
   */
  | {
      readonly type: 'deliver';
      readonly unit: Unit;
      readonly from: HostId;
      readonly payload: P;
      readonly accepted: boolean;
    }
  /** Answer OVERLOADED; a tell is a dead letter. */
  | { readonly type: 'refuse'; readonly unit: Unit; readonly from: HostId; readonly payload: P; readonly by: RefusedBy }
  /** Target: set room aside. Answer `reserved` or `reserve-refused`. */
  | { readonly type: 'reserve'; readonly unit: Unit; readonly epoch: Epoch; readonly from: HostId }
  /** Source: start no turn, grant no credit, finish what runs and what is awaited. Answer `frozen`. */
  | { readonly type: 'freeze'; readonly unit: Unit; readonly epoch: Epoch }
  /** Source: drain the output gate and pack, keeping everything. Answer `packed` or `pack-failed`. */
  | { readonly type: 'pack'; readonly unit: Unit; readonly epoch: Epoch }
  /** Target: restore, do not run. Answer `restored` or `restore-failed`. The pieces are in order and verified. */
  | { readonly type: 'install'; readonly unit: Unit; readonly epoch: Epoch; readonly pieces: readonly Uint8Array[] }
  /** Target: give up the room and whatever was installed under this epoch. */
  | { readonly type: 'discard'; readonly unit: Unit; readonly epoch: Epoch }
  /** Owner: go on under this higher epoch; undo a freeze if there was one. */
  | { readonly type: 'thaw'; readonly unit: Unit; readonly epoch: Epoch }
  /** New owner: run. From disk: raise the fence in storage to this epoch *before* reading, or a zombie writes in between. */
  | { readonly type: 'activate'; readonly unit: Unit; readonly epoch: Epoch; readonly how: 'shipped' | 'disk' }
  /** Old owner: the copy here is history. Its messages and timers live elsewhere now. */
  | { readonly type: 'retire'; readonly unit: Unit }
  /** Take nothing more from this host, not even what it had already sent. */
  | { readonly type: 'hang-up'; readonly host: HostId }
  /** Units that lived on a host that died: asks to them end UNKNOWN_OUTCOME. */
  | { readonly type: 'lost'; readonly host: HostId; readonly units: readonly Unit[] }
  /** Asks to this unit sent under an epoch below this one may have died with a tombstone: UNKNOWN_OUTCOME. */
  | { readonly type: 'doubt'; readonly unit: Unit; readonly below: Epoch }
  | { readonly type: 'outcome'; readonly ticket: number; readonly unit: Unit; readonly outcome: Outcome };

/** What a host's route hears: messages from its links, and answers of its own runtime, each with the epoch it was asked under. */
export type RouteInput<P> =
  | { readonly type: 'heard'; readonly from: HostId; readonly message: FromDirectory | BetweenHosts<P> }
  /** A local sender's message, when the runtime's own look at `ownerOf` and `inMotion` did not settle it. */
  | { readonly type: 'send'; readonly unit: Unit; readonly payload: P }
  | {
      readonly type: 'propose';
      readonly unit: Unit;
      readonly to: HostId;
      readonly expect: Epoch;
      readonly ticket: number;
    }
  | RuntimeAnswer
  | { readonly type: 'tick' };

export type RuntimeAnswer =
  | { readonly type: 'reserved'; readonly unit: Unit; readonly epoch: Epoch }
  | { readonly type: 'reserve-refused'; readonly unit: Unit; readonly epoch: Epoch }
  | { readonly type: 'frozen'; readonly unit: Unit; readonly epoch: Epoch }
  /** `messages`: how many of the unit's messages are inside. */
  | {
      readonly type: 'packed';
      readonly unit: Unit;
      readonly epoch: Epoch;
      readonly pieces: readonly Piece[];
      readonly messages: number;
    }
  | { readonly type: 'pack-failed'; readonly unit: Unit; readonly epoch: Epoch }
  | { readonly type: 'restored'; readonly unit: Unit; readonly epoch: Epoch }
  | { readonly type: 'restore-failed'; readonly unit: Unit; readonly epoch: Epoch; readonly reason: InstallFailure };

/** Route.describe(). */
export interface RouteReport {
  readonly self: HostId;
  readonly routes: number;
  /** Local messages that wait to learn where their unit lives. */
  readonly resolving: number;
  /** Messages that reached a host which neither owns their unit nor forwards for it. Stays 0 while all hosts live. */
  readonly strays: number;
  readonly refused: number;
  readonly thawed: number;
  readonly shipped: number;
  readonly forwarded: number;
  readonly held: number;
  readonly parked: number;
  readonly parted: number;
  readonly pauses: number;
  readonly pausedMs: Millis;
  readonly pausedMsMax: Millis;
  readonly motions: readonly object[];
}

// The directory's own door.

export type DirectoryInput =
  | { readonly type: 'heard'; readonly from: HostId; readonly message: ToDirectory }
  | { readonly type: 'joined'; readonly host: HostId }
  | { readonly type: 'died'; readonly host: HostId }
  | { readonly type: 'tick' };

/** For node.on() and for the log. `late`: an old owner still forwards after settleWarnMs; some host does not read its links. */
export type DirectoryEvent =
  | {
      readonly name: 'relocating' | 'relocated' | 'settled' | 'late';
      readonly unit: Unit;
      readonly epoch: Epoch;
      readonly from: HostId;
      readonly to: HostId;
    }
  | {
      readonly name: 'aborted';
      readonly unit: Unit;
      readonly epoch: Epoch;
      readonly from: HostId;
      readonly to: HostId;
      readonly reason: AbortReason;
    }
  | { readonly name: 'granted'; readonly unit: Unit; readonly epoch: Epoch; readonly to: HostId };

export type DirectoryEffect =
  | { readonly type: 'send'; readonly to: HostId; readonly message: FromDirectory }
  | { readonly type: 'event'; readonly event: DirectoryEvent };

/** How long each step may take and how much each place may hold. Defaults are those of limits.ts. */
export interface RelocationLimits {
  readonly reserveMs: Millis;
  readonly turnMs: Millis;
  readonly packMs: Millis;
  readonly silenceMs: Millis;
  readonly installMs: Millis;
  readonly moveMs: Millis;
  readonly settleWarnMs: Millis;
  readonly piecesInFlight: number;
  readonly piecesMax: number;
  readonly lateMax: number;
  readonly heldMax: number;
  readonly parkedMax: number;
  readonly resolvingMax: number;
  readonly routesMax: number;
}

export const relocationLimits: RelocationLimits = {
  reserveMs: relocateReserveMs,
  turnMs: relocateTurnMsDefault,
  packMs: relocatePackMs,
  silenceMs: relocateSilenceMs,
  installMs: relocateInstallMs,
  moveMs: relocateMoveMs,
  settleWarnMs: relocateSettleWarnMs,
  piecesInFlight: relocatePiecesInFlight,
  piecesMax: relocatePiecesMax,
  lateMax: relocateLateMax,
  heldMax: relocateHeldMax,
  parkedMax: relocateParkedMax,
  resolvingMax: relocateResolvingMax,
  routesMax,
};
