// What a gossiper is told, what it wants done, and what it shows. The shell in between owns the clock and the links.

import type { Millis } from '../world.ts';
import type { GossipMessage, RefuseReason } from './gossip-messages.ts';
import type { AppState, OwnStatus } from './member.ts';
import type { MemberStatus } from './member-table.ts';

export interface GossipOptions {
  readonly cluster: string;
  readonly name: string;
  /** max(persisted + 1, unix seconds), durable before the first tick. */
  readonly incarnation: number;
  readonly address: string;
  /** Addresses to join through; names are learned from whoever answers. */
  readonly seeds?: readonly string[];
  /** An unsigned 32-bit number. */
  readonly random: () => number;
  readonly zone?: string;
  readonly rack?: string;
  readonly weight?: number;
  readonly capacity?: number;
  readonly protocol?: readonly [oldest: number, newest: number];
  readonly app?: AppState | undefined;
  readonly status?: OwnStatus;
  /** Unix seconds at `now` of the constructor; incarnations a year above are refused. Default: the own incarnation. */
  readonly wallSeconds?: number;
  readonly roundMs?: Millis;
  readonly phiThreshold?: number;
  readonly pauseMsMax?: Millis;
  /** How long a report of a suspicion holds: twice the silence that makes one. */
  readonly reportMs?: Millis;
  readonly probeMs?: Millis;
  /** For how long nobody has listened at the address of a suspect. A process that is started anew at once has time to come back. */
  readonly nobodyMs?: Millis;
  readonly quarantineMs?: Millis;
  readonly deadKeptMs?: Millis;
}

export const gossipDefaults = {
  seeds: [] as readonly string[],
  zone: 'z1',
  rack: 'r1',
  weight: 1,
  capacity: 1,
  protocol: [1, 1] as readonly [number, number],
  app: undefined,
  status: 'up' as OwnStatus,
  roundMs: 1_000,
  phiThreshold: 8,
  pauseMsMax: 5_000,
  reportMs: 40_000,
  probeMs: 3_000,
  nobodyMs: 3_000,
  quarantineMs: 60_000,
  deadKeptMs: 3 * 86_400_000,
};

export type Input =
  | { readonly type: 'tick' }
  /** `via` names the link it came by, whatever that is to the shell; an answer to somebody unknown goes back by it. */
  | { readonly type: 'heard'; readonly message: unknown; readonly via?: unknown }
  | { readonly type: 'link-up' | 'link-down'; readonly name: string }
  /** It was dialled in vain: its machine refused, as nobody listens there; or anything else. */
  | { readonly type: 'dial-refused' | 'dial-failed'; readonly name: string }
  /** What this member says of itself: gossiped at once. The ring, too: `{ app: { epoch, hash, blob } }`. */
  | { readonly type: 'set'; readonly change: OwnChange }
  /** Goes on serving until its data is elsewhere; then `left`. `stop`: gone for now, and still a member. */
  | { readonly type: 'leave' | 'left' | 'stop' }
  | { readonly type: 'mark-down' | 'remove'; readonly name: string };

export interface OwnChange {
  readonly status?: OwnStatus;
  readonly weight?: number;
  readonly capacity?: number;
  readonly app?: AppState;
}

/** By the first of these that the shell can use: the link it came by, the link to that name, a dial of that address. */
export interface To {
  readonly name?: string;
  readonly address?: string;
  readonly via?: unknown;
}

export type Effect =
  | { readonly type: 'send'; readonly to: To; readonly message: GossipMessage }
  | { readonly type: 'event'; readonly event: GossipEvent };

export type GossipEvent =
  | {
      readonly name: 'member-joined' | 'member-restarted' | `member-${MemberStatus}`;
      readonly member: string;
      readonly incarnation: number;
    }
  | { readonly name: 'app-changed'; readonly member: string; readonly app: AppState | undefined }
  /** Two live processes under one name. `incarnation` is the one that stays, `other` the one that must stop. */
  | {
      readonly name: 'name-conflict';
      readonly member: string;
      readonly incarnation: number;
      readonly other: number;
      readonly address: string;
    }
  | {
      readonly name: 'refused' | 'refused-by';
      readonly why: RefuseReason;
      readonly member: string | undefined;
      readonly incarnation: number | undefined;
    }
  /** This machine has ended; the process must stop or come back under a larger incarnation than the one named. */
  | { readonly name: 'halted'; readonly why: Halt; readonly incarnation: number; readonly address: string };

export type Halt = 'stopped' | 'left' | 'removed' | 'superseded';

/** A row of `node.cluster.members()`. */
export interface MemberView {
  readonly name: string;
  readonly incarnation: number;
  readonly heartbeat: number;
  readonly status: MemberStatus;
  readonly phi: number;
  readonly suspects: readonly string[];
  readonly weight: number;
  readonly zone: string;
  readonly rack: string;
  readonly address: string;
}
