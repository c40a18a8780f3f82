// What lies under a link between processes: a stream of bytes to somewhere else, as TCP, TLS and the simulated network offer
// it. It keeps order within a stream and promises nothing beyond: a stream may break at any byte, and nobody learns how much
// of what was written has arrived. Frames, checks, credit and reconnecting are above it, so that they are the same code
// everywhere. The real ones are edges; the simulated one belongs to the test kit.

/** Why a stream ended: 'closed' by us, 'ended' by the other side, or an error with its code (ECONNRESET, ...). */
import { TroupeError } from '../../errors.ts';
import type { TlsIdentity } from './tls-wire.ts';

export interface WireEnd {
  readonly why: 'closed' | 'ended' | 'error';
  readonly error?: Error;
}

export interface WireEvents {
  /** Bytes are the receiver's only during the call, and no Buffer, whose slice() does not copy. Any chunking is possible. */
  onBytes(bytes: Uint8Array): void;
  /** After a write that said false: there is room again. */
  onDrain(): void;
  /** Exactly once, and nothing after it. */
  onEnd(end: WireEnd): void;
}

export interface Wire {
  /** Where the other side is, for messages: '10.0.0.2:7001'. */
  readonly remote: string;
  /** The names its certificate proved: the peer must be one of them. Undefined without TLS. */
  readonly provenNames: readonly string[] | undefined;
  readonly encrypted: boolean;
  /** Set once, before any event can come. */
  listen(events: WireEvents): void;
  /** Takes all of it, always; false: stop until onDrain. The bytes must not change until they have left (`buffered` 0). */
  write(bytes: Uint8Array): boolean;
  /** Bytes taken that have not left for the network. */
  buffered(): number;
  /** Stops reading (the other side will feel it), and goes on. */
  pause(): void;
  resume(): void;
  /** Says goodbye after what was written. `now`: drops what was not sent. */
  close(now?: boolean): void;
}

export interface WireListener {
  /** host:port that is listened on. */
  readonly address: string;
  close(): Promise<void>;
}

/** Rejects with the reason: ECONNREFUSED, ETIMEDOUT, a refused certificate. */
export interface WireTransport {
  dial(address: string, options: { timeoutMs: number }): Promise<Wire>;
  listen(address: string, onWire: (wire: Wire) => void): Promise<WireListener>;
  /** Streams are encrypted, and prove who is at the other end. */
  readonly secure: boolean;
  /** New streams prove this node by another certificate. Throws BAD_OPTION: it is none of this node. Absent: nothing is proved. */
  renew?(tls: TlsIdentity): void;
}

/** Throws BAD_OPTION: what is given is no identity of this node, or its streams prove nothing. */
export function renew(transport: WireTransport, tls: TlsIdentity): void {
  if (transport.renew === undefined)
    throw new TroupeError('BAD_OPTION', "this node was started without 'tls'; start it again with it", {
      details: { option: 'tls' },
    });
  transport.renew(tls);
}
