// Wires that are encrypted and prove who is at the other end: TLS 1.3 with certificates on both sides, over TCP or a Unix socket.
// An edge.
//
// A certificate speaks for a node, not for a machine: its DNS name (or common name) is the name of the node, and the greeting
// checks that the node says the same name. So addresses may change, and the name a dialler asks for is not compared here.
//
// A dialler is connected before its own certificate has been judged (TLS 1.3): it learns of a refusal from the first thing it reads.

import { X509Certificate } from 'node:crypto';
import { connect, createSecureContext, createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls';
import { TroupeError } from '../../errors.ts';
import { dialMs, unprovenMax } from '../../limits.ts';
import { formatAddress, parseAddress } from './address.ts';
import { certificateNames } from './certificate-names.ts';
import { buffers, listenOn, opened, remoteOf, type SocketTransportOptions, SocketWire, target } from './tcp-wire.ts';
import type { Wire, WireTransport } from './wire.ts';

/** PEM, as text or bytes. */
export interface TlsIdentity {
  /** Of this node, issued to its name by `ca`, for servers and clients. */
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  /** Whose certificates are believed: a CA of the cluster's own. */
  readonly ca: string | Uint8Array;
}

export interface TlsTransportOptions extends SocketTransportOptions {
  /** Of this node. Its certificate must prove it. */
  readonly name: string;
  readonly tls: TlsIdentity;
}

const versions = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;

/** Throws BAD_OPTION: what is given is no identity, or another node's. */
export function tlsTransport({ name, tls, clock, onTrouble }: TlsTransportOptions): WireTransport {
  let pem = pemOf(tls);
  let secureContext = contextOf(name, pem);
  const servers = new Set<Server>();
  const wireOf = (socket: TLSSocket, remote: string): Wire =>
    new SocketWire(socket, { remote, provenNames: namesOf(socket), encrypted: true, clock });
  return {
    secure: true,
    renew(next) {
      const nextPem = pemOf(next);
      secureContext = contextOf(name, nextPem);
      pem = nextPem;
      for (const server of servers) server.setSecureContext({ ...pem, ...versions });
    },
    async dial(text, { timeoutMs }) {
      const address = parseAddress(text);
      const socket = connect({
        ...target(address),
        secureContext,
        rejectUnauthorized: true,
        checkServerIdentity: () => undefined, // the chain is verified; the name is the greeting's to check
        ...buffers,
      });
      socket.setNoDelay(true);
      const open = await opened(socket, 'secureConnect', { address, timeoutMs, clock }).catch(error => {
        throw explained(formatAddress(address), error);
      });
      return wireOf(open, formatAddress(address));
    },
    async listen(text, onWire) {
      const address = parseAddress(text);
      const proof = { requestCert: true, rejectUnauthorized: true, handshakeTimeout: dialMs };
      const server = createServer({ ...pem, ...versions, ...proof, noDelay: true, ...buffers });
      servers.add(server);
      server.on('close', () => servers.delete(server));
      /** Connections whose certificate has not come. */
      let unproven = 0;
      server.on('connection', socket => {
        if (++unproven > unprovenMax) socket.destroy();
      });
      server.on('secureConnection', socket => {
        unproven--;
        onWire(wireOf(socket, remoteOf(socket, address)));
      });
      server.on('tlsClientError', (error, socket) => {
        unproven--;
        // A client whose certificate does not pass is hung up on; why is only said here.
        const reason: unknown = socket.authorizationError ?? error;
        onTrouble(explained(remoteOf(socket, address), reason));
      });
      return listenOn(server, address, onTrouble);
    },
  };
}

interface Pem {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  readonly ca: string | Buffer;
}

function pemOf({ cert, key, ca }: TlsIdentity): Pem {
  for (const [what, value] of Object.entries({ cert, key, ca }))
    if (!value) throw bad(`needs ${what}, in PEM: give cert, key and ca, such as readFileSync('n1.pem')`);
  const asPem = (value: string | Uint8Array): string | Buffer =>
    typeof value === 'string' ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return { cert: asPem(cert), key: asPem(key), ca: asPem(ca) };
}

function contextOf(name: string, pem: Pem): SecureContext {
  let names: string[];
  let context: SecureContext;
  try {
    context = createSecureContext({ ...pem, ...versions });
    const own = new X509Certificate(pem.cert);
    names = certificateNames(own.subjectAltName, own.toLegacyObject().subject.CN);
  } catch (error) {
    const said = String((error as Error).message);
    throw bad(`cannot be used: ${said}; cert, key and ca must be PEM, and the key the certificate's`, error);
  }
  if (!names.includes(name))
    throw bad(`has a certificate for ${names.join(', ') || 'no name'}; it must be for this node's name, '${name}'`);
  return context;
}

function bad(why: string, cause?: unknown): TroupeError {
  return new TroupeError('BAD_OPTION', `tls ${why}`, { cause, details: { option: 'tls' } });
}

function namesOf(socket: TLSSocket): string[] {
  const { subjectaltname, subject } = socket.getPeerCertificate();
  return certificateNames(subjectaltname, subject?.CN);
}

/** What OpenSSL says, with what to look at. Errors of the network stay what they are. */
function explained(where: string, error: unknown): Error {
  const { code = error, message = error } = Object(error) as { code?: unknown; message?: unknown };
  if (error instanceof Error && /^E[A-Z]+$/.test(String(code))) return error;
  return new TroupeError(
    'UNAUTHENTICATED',
    `no TLS with ${where}: ${String(message)} (${String(code)}); both nodes need certificates of the same 'ca' that are valid now`,
    { cause: error, details: { address: where, code: String(code) } },
  );
}
