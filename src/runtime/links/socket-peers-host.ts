// Peers over the sockets of the system: what production puts into the seams of peers.ts. An edge.

import { createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Peers, type PeersOptions } from './peers.ts';
import { tcpTransport } from './tcp-wire.ts';
import { type TlsIdentity, tlsTransport } from './tls-wire.ts';

export type SocketPeersOptions = Omit<PeersOptions, 'transport' | 'crc32' | 'hmac'> & {
  /** Certificates of this node and of the cluster: all connections are TLS. Undefined: none is. */
  readonly tls: TlsIdentity | undefined;
};

/** Throws BAD_OPTION, as Peers does, and where `tls` is no identity of this node. */
export function socketPeers({ tls, ...options }: SocketPeersOptions): Peers {
  const { clock, log } = options.world;
  const sockets = { clock, onTrouble: (error: Error) => log.debug({ err: error }, 'a connection was not taken') };
  const transport = tls === undefined ? tcpTransport(sockets) : tlsTransport({ name: options.name, tls, ...sockets });
  return new Peers({ ...options, transport, crc32, hmac });
}

function hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  return createHmac('sha256', key).update(data).digest();
}
