// What the links of a node are given, and whom they tell what.

import type { World } from '../world.ts';
import type { Hmac } from './handshake.ts';
import type { Crc32 } from './packet.ts';
import type { DownReason, PeerInfo } from './peer.ts';
import type { Refusal } from './refusals.ts';
import type { Remains } from './remains.ts';
import type { WireTransport } from './wire.ts';

export interface PeersOptions {
  readonly name: string;
  /** Which life of this node; a later one is larger. */
  readonly incarnation: number;
  readonly cluster: string;
  /** Undefined: this node only dials. */
  readonly listen: string | undefined;
  /** What peers are told to dial, when it differs from where we listen. */
  readonly advertise: string | undefined;
  /** Where to dial a peer instead of where it says. */
  readonly peerVia: Readonly<Record<string, string>>;
  /** See Self.replicas. */
  readonly replicas?: number | undefined;
  readonly partitions?: number | undefined;
  readonly secret: string | undefined;
  readonly insecure: boolean;
  readonly world: Pick<World, 'clock' | 'random' | 'log'>;
  readonly transport: WireTransport;
  readonly crc32: Crc32;
  readonly hmac: Hmac;
  /** What one link may have unacknowledged, and holds for a reader that has paused. */
  readonly linkBytes?: number;
  /** A session begins: from now on link(name) takes frames. */
  onUp(peer: PeerInfo): void;
  /** It has ended, and what becomes of what was sent. */
  onDown(peer: PeerInfo, reason: DownReason, remains: Remains): void;
  /** Bytes and view are valid during the call, from `start` to `end`. */
  onFrame(name: string, bytes: Uint8Array, view: DataView, start: number, end: number): void;
  onRefused(refusal: Refusal): void;
  /** A dial of a node that is wanted came to nothing. `isNobody`: its machine answered, and nobody listens where the node says it does. */
  onUnreached?(name: string, isNobody: boolean): void;
  /** Who is there, of an address given to join(): a peer, or this node itself. */
  onSeed?(address: string, name: string): void;
  /** A dial of such an address came to nothing. */
  onSeedTrouble?(trouble: SeedTrouble): void;
}

export interface SeedTrouble {
  readonly address: string;
  /** Undefined: nobody answered, or not to the end of the greeting. */
  readonly refusal: Refusal | undefined;
  /** What happened; of a refusal, also what to do about it. */
  readonly message: string;
}
