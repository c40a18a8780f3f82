// Wires over sockets of the system: TCP, and Unix sockets between processes of one machine. An edge; tls-wire.ts puts TLS on it.
//
// What is written in one turn of the event loop leaves in one call (cork), which is worth more than anything else here
// (research/measurements.md: 60 x). Frames of a session are small and somebody waits for them: no Nagle.

import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { TroupeError } from '../../errors.ts';
import { socketBufferBytes, stopFlushMs } from '../../limits.ts';
import type { Cancel, Clock } from '../world.ts';
import { type Address, formatAddress, parseAddress } from './address.ts';
import type { Wire, WireEnd, WireEvents, WireListener, WireTransport } from './wire.ts';

export interface SocketTransportOptions {
  readonly clock: Pick<Clock, 'timer'>;
  /** A listener could not take a connection: no more files, a stranger without a certificate. It goes on. */
  onTrouble(error: Error): void;
}

/** Of a socket in both directions; net.connect takes it like net.createServer, though its types do not say so. */
export const buffers = { highWaterMark: socketBufferBytes } as const;

export function tcpTransport({ clock, onTrouble }: SocketTransportOptions): WireTransport {
  return {
    secure: false,
    async dial(text, { timeoutMs }) {
      const address = parseAddress(text);
      const socket = connect({ ...target(address), noDelay: true, ...buffers });
      const open = await opened(socket, 'connect', { address, timeoutMs, clock });
      return new SocketWire(open, { remote: formatAddress(address), provenNames: undefined, encrypted: false, clock });
    },
    async listen(text, onWire) {
      const address = parseAddress(text);
      const server = createServer({ noDelay: true, ...buffers }, socket => {
        onWire(
          new SocketWire(socket, {
            remote: remoteOf(socket, address),
            provenNames: undefined,
            encrypted: false,
            clock,
          }),
        );
      });
      return listenOn(server, address, onTrouble);
    },
  };
}

export interface SocketWireOptions {
  readonly remote: string;
  readonly provenNames: readonly string[] | undefined;
  readonly encrypted: boolean;
  readonly clock: Pick<Clock, 'timer'>;
}

export class SocketWire implements Wire {
  readonly remote: string;
  readonly provenNames: readonly string[] | undefined;
  readonly encrypted: boolean;
  private readonly socket: Socket;
  private readonly clock: Pick<Clock, 'timer'>;
  private events: WireEvents | undefined;
  private state: 'open' | 'closing' | 'over' = 'open';
  private error: Error | undefined;
  /** Ended before anybody listened. */
  private early: WireEnd | undefined;
  private corked = false;
  private lingering: Cancel = () => {};

  constructor(socket: Socket, options: SocketWireOptions) {
    this.socket = socket;
    this.remote = options.remote;
    this.provenNames = options.provenNames;
    this.encrypted = options.encrypted;
    this.clock = options.clock;
    socket.on('error', error => {
      this.error ??= error;
    });
    socket.on('end', () => {
      if (this.state === 'open') this.finish({ why: 'ended' });
      socket.destroy();
    });
    socket.on('close', () => {
      if (this.state === 'closing') this.finish({ why: 'closed' });
      else this.finish(this.error === undefined ? { why: 'ended' } : { why: 'error', error: this.error });
    });
  }

  listen(events: WireEvents): void {
    const { early } = this;
    if (early !== undefined) return process.nextTick(() => events.onEnd(early));
    this.events = events;
    this.socket.on('data', chunk => {
      if (this.state === 'open') events.onBytes(plain(chunk as Buffer));
    });
    this.socket.on('drain', () => {
      if (this.state === 'open') events.onDrain();
    });
  }

  write(bytes: Uint8Array): boolean {
    if (this.state !== 'open') return false;
    if (!this.corked) {
      this.corked = true;
      this.socket.cork();
      process.nextTick(() => this.uncork());
    }
    return this.socket.write(bytes);
  }

  buffered(): number {
    return this.socket.writableLength;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** The other side is given some time to read the last words: a socket that is closed with unread bytes takes them back. */
  close(now: boolean = false): void {
    if (this.state === 'over') return;
    const first = this.state === 'open';
    this.state = 'closing';
    if (now) {
      this.socket.destroy();
    } else if (first) {
      this.uncork();
      this.socket.end();
      this.socket.resume();
      this.lingering = this.clock.timer(stopFlushMs, () => this.socket.destroy());
    }
  }

  private uncork(): void {
    if (!this.corked) return;
    this.corked = false;
    this.socket.uncork();
  }

  private finish(end: WireEnd): void {
    if (this.state === 'over') return;
    this.state = 'over';
    this.lingering();
    if (this.events === undefined) this.early = end;
    else this.events.onEnd(end);
  }
}

/** The same bytes as a Uint8Array: slice() of a Buffer does not copy, and whoever keeps a slice would find other bytes there later. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** What node:net and node:tls are told to connect to or to listen on. */
export function target(address: Address): { path: string } | { host: string; port: number } {
  return address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
}

export function remoteOf(socket: Socket, listening: Address): string {
  if (listening.kind === 'unix') return formatAddress(listening);
  const host = (socket.remoteAddress ?? 'unknown').replace(/^::ffff:(?=\d+\.)/, '');
  return formatAddress({ kind: 'tcp', host, port: socket.remotePort ?? 0 });
}

/** Resolves with the socket when it says that it is open, rejects with the reason when it is not in time. */
export function opened<Open extends Socket>(
  socket: Open,
  event: 'connect' | 'secureConnect',
  { address, timeoutMs, clock }: { address: Address; timeoutMs: number; clock: Pick<Clock, 'timer'> },
): Promise<Open> {
  const where = formatAddress(address);
  const { promise, resolve, reject } = Promise.withResolvers<Open>();
  const cancel = clock.timer(timeoutMs, () => {
    socket.destroy(failure('ETIMEDOUT', `${where} did not answer within ${timeoutMs} ms: is it the right address?`));
  });
  const onClose = (): void => onError(failure('ECONNRESET', `${where} closed the connection at once`));
  const onError = (error: Error): void => {
    cancel();
    socket.destroy();
    reject(error);
  };
  socket.once('error', onError);
  socket.once('close', onClose);
  socket.once(event, () => {
    cancel();
    socket.on('error', () => {}); // until its wire listens, its end is all there is to say
    socket.off('error', onError);
    socket.off('close', onClose);
    resolve(socket);
  });
  return promise;
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** Rejects with BAD_OPTION: the address cannot be had. */
export async function listenOn(
  server: Server,
  address: Address,
  onTrouble: (error: Error) => void,
): Promise<WireListener> {
  try {
    await bound(server, address);
  } catch (error) {
    if (!(address.kind === 'unix' && codeOf(error) === 'EADDRINUSE' && (await isLeftOver(address.path))))
      throw unavailable(formatAddress(address), error);
    unlinkSync(address.path);
    await bound(server, address).catch(again => {
      throw unavailable(formatAddress(address), again);
    });
  }
  if (address.kind === 'unix') chmodSync(address.path, 0o600);
  server.on('error', onTrouble);
  const at = server.address();
  const port = typeof at === 'object' && at !== null ? at.port : 0;
  return {
    address: formatAddress(address.kind === 'unix' ? address : { ...address, port }),
    close: async () => void server.close(), // connections are their owners'; nobody waits for them here
  };
}

function bound(server: Server, address: Address): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(target(address), () => {
    server.off('error', reject);
    resolve();
  });
  return promise;
}

/** A process that was killed leaves its socket behind: nobody answers there any more. */
async function isLeftOver(path: string): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = connect({ path });
  probe.once('connect', () => resolve(false));
  probe.once('error', error => resolve(codeOf(error) === 'ECONNREFUSED'));
  const left = await promise;
  probe.destroy();
  return left;
}

const remedies: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there; choose another port, or 0 for any',
  EADDRNOTAVAIL: 'this machine has no such address; use one of its own, or 0.0.0.0',
  EACCES: 'this user may not; choose a port above 1023, or a directory it may write to',
  ENOTFOUND: 'nobody knows this name',
  ENOENT: 'its directory does not exist',
};

/** BAD_OPTION: why nobody can listen there, and what to do about it. */
export function unavailable(where: string, error: unknown, option: 'listen' | 'port' = 'listen'): TroupeError {
  const code = codeOf(error);
  return new TroupeError('BAD_OPTION', `cannot listen on ${where}: ${remedies[code] ?? code}`, {
    cause: error,
    details: { option, listen: where, code },
  });
}

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? error);
