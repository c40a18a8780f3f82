// Streams of the system: what the wires of TCP, TLS and Unix sockets promise alike, and what TLS asks of a certificate.

import { linkSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectRaw, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, describe, expect, it } from 'vitest';
import { stopFlushMs, unprovenMax } from '../../../src/limits.ts';
import { parseAddress } from '../../../src/runtime/links/address.ts';
import { tcpTransport } from '../../../src/runtime/links/tcp-wire.ts';
import { type TlsIdentity, tlsTransport } from '../../../src/runtime/links/tls-wire.ts';
import {
  renew,
  type Wire,
  type WireEnd,
  type WireListener,
  type WireTransport,
} from '../../../src/runtime/links/wire.ts';
import { realClock } from '../../../src/runtime/real-world.ts';
import { Certificates } from './certificates.ts';
import { HandClock } from './hand-clock.ts';

const certificates = new Certificates();
const folder = mkdtempSync(join(tmpdir(), 'troupe-wire-'));
afterAll(() => {
  certificates.remove();
  rmSync(folder, { recursive: true });
});

const identities = { n1: certificates.issue('n1'), n2: certificates.issue('n2') };
const clock = realClock;
const quiet = (): void => {};

const tcp = (onTrouble: (error: Error) => void = quiet): WireTransport => tcpTransport({ clock, onTrouble });
const tls = (
  name: string,
  {
    identity = identities[name as 'n1'],
    onTrouble = quiet as (error: Error) => void,
    timer = clock as typeof clock | HandClock,
  } = {},
): WireTransport => tlsTransport({ name, tls: identity as TlsIdentity, clock: timer, onTrouble });

/** What came out of a wire, and promises for what will. */
class Ear {
  readonly wire: Wire;
  bytes = 0;
  sum = 0;
  readonly ends: WireEnd[] = [];
  drains = 0;
  private wanted: { holds: () => boolean; resolve: () => void }[] = [];

  constructor(wire: Wire) {
    this.wire = wire;
    wire.listen({
      onBytes: bytes => {
        expect(bytes.constructor).toBe(Uint8Array); // slice() of a Buffer does not copy
        for (const byte of bytes) this.sum = (Math.imul(this.sum, 31) + byte) | 0;
        this.bytes += bytes.length;
        this.look();
      },
      onDrain: () => {
        this.drains++;
        this.look();
      },
      onEnd: end => {
        this.ends.push(end);
        this.look();
      },
    });
  }

  until(holds: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.wanted.push({ holds, resolve });
    this.look();
    return promise;
  }

  readonly ended = (): Promise<void> => this.until(() => this.ends.length > 0);

  private look(): void {
    for (const each of this.wanted) if (each.holds()) each.resolve();
    this.wanted = this.wanted.filter(({ holds }) => !holds());
  }
}

const sumOf = (bytes: Uint8Array, sum = 0): number => bytes.reduce((all, byte) => (Math.imul(all, 31) + byte) | 0, sum);

interface Kind {
  readonly name: string;
  readonly address: () => string;
  readonly transports: () => [WireTransport, WireTransport];
}

let sockets = 0;
const kinds: Kind[] = [
  { name: 'TCP', address: () => '127.0.0.1:0', transports: () => [tcp(), tcp()] },
  { name: 'TCP over IPv6', address: () => '[::1]:0', transports: () => [tcp(), tcp()] },
  { name: 'a Unix socket', address: () => `unix:${folder}/${++sockets}`, transports: () => [tcp(), tcp()] },
  { name: 'TLS', address: () => '127.0.0.1:0', transports: () => [tls('n1'), tls('n2')] },
  {
    name: 'TLS over a Unix socket',
    address: () => `unix:${folder}/${++sockets}`,
    transports: () => [tls('n1'), tls('n2')],
  },
];

describe.each(kinds)('a wire of $name', ({ address, transports }) => {
  const open = async (): Promise<{ a: Ear; b: Ear; listener: WireListener; dialler: WireTransport }> => {
    const [dialler, acceptor] = transports();
    const accepted = Promise.withResolvers<Ear>();
    const listener = await acceptor.listen(address(), wire => accepted.resolve(new Ear(wire)));
    const a = new Ear(await dialler.dial(listener.address, { timeoutMs: 5_000 }));
    return { a, b: await accepted.promise, listener, dialler };
  };

  it('carries bytes both ways, whole and in order, and says when it is full', async () => {
    const { a, b, listener } = await open();
    const block = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);
    let sent = 0;
    let full = 0;
    b.wire.pause();
    for (let i = 0; i < 60; i++) {
      sent = sumOf(block, sent);
      if (!a.wire.write(block)) full++;
    }
    expect(full).toBeGreaterThan(0);
    expect(a.wire.buffered()).toBeGreaterThan(0);
    b.wire.write(block.subarray(0, 10));
    await a.until(() => a.bytes === 10);
    expect(b.bytes).toBeLessThan(1_000_000); // what the sockets hold by themselves, and no more is read
    b.wire.resume();
    await b.until(() => b.bytes === 60 * block.length);
    await a.until(() => a.drains > 0);
    expect([b.sum, a.sum, a.wire.buffered()]).toEqual([sent, sumOf(block.subarray(0, 10)), 0]);
    a.wire.close();
    await Promise.all([a.ended(), b.ended()]);
    await listener.close();
  });

  it('closes behind what was written, and tells each side once', async () => {
    const { a, b, listener } = await open();
    const last = new Uint8Array(300_000).fill(7);
    b.wire.write(new Uint8Array(1_000)); // unread when we close
    a.wire.write(last);
    a.wire.close();
    expect(a.wire.write(last)).toBe(false);
    await Promise.all([a.ended(), b.ended()]);
    expect(b.bytes).toBe(last.length);
    expect([a.ends, b.ends]).toEqual([[{ why: 'closed' }], [{ why: 'ended' }]]);
    a.wire.close(true);
    await listener.close();
    expect([a.ends.length, b.ends.length]).toEqual([1, 1]);
  });

  it('closes at once when it has to', async () => {
    const { a, b, listener } = await open();
    b.wire.pause();
    for (let i = 0; i < 100; i++) a.wire.write(new Uint8Array(100_000));
    a.wire.close(true);
    await a.ended();
    expect(a.ends).toEqual([{ why: 'closed' }]);
    b.wire.resume();
    await b.ended();
    expect(b.bytes).toBeLessThan(10_000_000);
    await listener.close();
  });

  it('is refused by an address that nobody listens on, and by one that was given up', async () => {
    const { a, b, listener, dialler } = await open();
    await listener.close();
    await expect(dialler.dial(listener.address, { timeoutMs: 5_000 })).rejects.toMatchObject({
      code: expect.stringMatching(/^(ECONNREFUSED|ENOENT)$/),
    });
    a.wire.write(new Uint8Array(5)); // what is open stays open
    await b.until(() => b.bytes === 5);
    b.wire.close();
    await Promise.all([a.ended(), b.ended()]);
  });

  it('knows who is at the other end only by TLS', async () => {
    const { a, b, listener } = await open();
    const secure = a.wire.encrypted;
    expect(b.wire.encrypted).toBe(secure);
    expect([a.wire.provenNames, b.wire.provenNames]).toEqual(secure ? [['n2'], ['n1']] : [undefined, undefined]);
    expect(parseAddress(b.wire.remote).kind).toBe(parseAddress(listener.address).kind);
    a.wire.close(true);
    await Promise.all([a.ended(), b.ended()]);
    await listener.close();
  });

  it('is told of an end that came before anybody listened', async () => {
    const [dialler, acceptor] = transports();
    const accepted = Promise.withResolvers<Wire>();
    const listener = await acceptor.listen(address(), accepted.resolve);
    const a = new Ear(await dialler.dial(listener.address, { timeoutMs: 5_000 }));
    const silent = await accepted.promise;
    silent.close(true);
    await a.ended();
    const late = new Ear(silent);
    await late.ended();
    expect(late.ends).toEqual([{ why: 'closed' }]);
    await listener.close();
  });
});

describe('a wire whose other side does not close', () => {
  it('is closed after a second all the same', async () => {
    const held: Socket[] = [];
    const stubborn = createServer({ allowHalfOpen: true }, socket => {
      socket.on('error', quiet).resume();
      held.push(socket);
    });
    await new Promise<void>(listening => stubborn.listen(0, '127.0.0.1', listening));
    const { port } = stubborn.address() as { port: number };
    const timer = new HandClock();
    const a = new Ear(
      await tcpTransport({ clock: timer, onTrouble: quiet }).dial(`127.0.0.1:${port}`, { timeoutMs: 9 }),
    );
    a.wire.write(new Uint8Array(5));
    a.wire.close();
    while (a.wire.buffered() > 0 || held.length === 0) await new Promise(setImmediate);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(a.ends).toEqual([]);
    timer.advance(stopFlushMs);
    await a.ended();
    expect(a.ends).toEqual([{ why: 'closed' }]);
    for (const socket of held) socket.destroy();
    stubborn.close();
  });
});

describe('listening', () => {
  it('on an address that another has is refused with what to do', async () => {
    const first = await tcp().listen('127.0.0.1:0', quiet);
    await expect(tcp().listen(first.address, quiet)).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: `cannot listen on ${first.address}: another process listens there; choose another port, or 0 for any`,
    });
    await first.close();
  });

  it('on an address that this machine does not have is refused', async () => {
    await expect(tcp().listen('192.0.2.1:0', quiet)).rejects.toMatchObject({
      code: 'BAD_OPTION',
      details: { code: 'EADDRNOTAVAIL' },
    });
  });

  it('on a Unix socket takes over what a dead process left, and nothing else', async () => {
    const path = join(folder, 'left');
    const { promise, resolve } = Promise.withResolvers<void>();
    // Its file outlives it under another name, as all of it does after kill -9.
    const dead = createServer().listen(`${path}-2`, resolve);
    await promise;
    linkSync(`${path}-2`, path);
    await new Promise(closed => dead.close(closed));
    expect(lstatSync(path).isSocket()).toBe(true);

    const listener = await tcp().listen(`unix:${path}`, quiet);
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
    await expect(tcp().listen(`unix:${path}`, quiet)).rejects.toMatchObject({ code: 'BAD_OPTION' }); // alive
    await listener.close();
    expect(lstatSync(path, { throwIfNoEntry: false })).toBe(undefined);

    writeFileSync(path, 'mine');
    await expect(tcp().listen(`unix:${path}`, quiet)).rejects.toMatchObject({ code: 'BAD_OPTION' });
    expect(lstatSync(path).size).toBe(4);
  });
});

describe('TLS between nodes', () => {
  const listening = async (troubles: Error[] = [], wires: Wire[] = []): Promise<WireListener> =>
    tls('n2', { onTrouble: error => troubles.push(error) }).listen('127.0.0.1:0', wire => wires.push(wire));

  /** A stranger's own client: what became of it, when all is over. */
  const stranger = async (address: string, options: object): Promise<string> => {
    const { port } = parseAddress(address) as { port: number };
    const socket = connectTls({ host: '127.0.0.1', port, checkServerIdentity: () => undefined, ...options });
    const { promise, resolve } = Promise.withResolvers<string>();
    socket.on('error', error => resolve((error as { code?: string }).code ?? error.message));
    socket.on('close', () => resolve('closed'));
    socket.resume();
    return promise;
  };

  it('takes no client without a certificate', async () => {
    const [troubles, wires]: [Error[], Wire[]] = [[], []];
    const listener = await listening(troubles, wires);
    await stranger(listener.address, { ca: identities.n1.ca });
    expect(wires).toEqual([]);
    expect(troubles).toMatchObject([{ code: 'UNAUTHENTICATED' }]);
    await listener.close();
  });

  it('takes no certificate of another authority, on either side', async () => {
    const others = new Certificates();
    const [foreign, mixed] = [others.issue('n1'), { ...others.issue('n1'), ca: identities.n1.ca }];
    const [troubles, wires]: [Error[], Wire[]] = [[], []];
    const listener = await listening(troubles, wires);
    await expect(tls('n1', { identity: foreign }).dial(listener.address, { timeoutMs: 5_000 })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining("both nodes need certificates of the same 'ca'"),
    });
    // One that believes the server, and is not believed: it is connected, and hears of it when it reads.
    const ear = new Ear(await tls('n1', { identity: mixed }).dial(listener.address, { timeoutMs: 5_000 }));
    await ear.ended();
    expect([wires, ear.bytes]).toEqual([[], 0]);
    expect(troubles.length).toBeGreaterThan(0);
    await listener.close();
    others.remove();
  });

  it('takes no certificate that has expired, on either side', async () => {
    const expired = certificates.issue('n1', { days: -1 });
    const [troubles, wires]: [Error[], Wire[]] = [[], []];
    const listener = await listening(troubles, wires);
    const ear = new Ear(await tls('n1', { identity: expired }).dial(listener.address, { timeoutMs: 5_000 }));
    await ear.ended();
    expect(wires).toEqual([]);
    expect(troubles).toMatchObject([{ message: expect.stringMatching(/expired/i) }]);
    const server = await tls('n1', { identity: expired }).listen('127.0.0.1:0', quiet);
    await expect(tls('n2').dial(server.address, { timeoutMs: 5_000 })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('CERT_HAS_EXPIRED'),
    });
    await Promise.all([listener.close(), server.close()]);
  });

  it('speaks nothing older than 1.3', async () => {
    const listener = await listening();
    const code = await stranger(listener.address, { ...identities.n1, maxVersion: 'TLSv1.2' });
    expect(code).toMatch(/PROTOCOL_VERSION/);
    await listener.close();
  });

  it('refuses plain text, and goes on listening', async () => {
    const troubles: Error[] = [];
    const wires: Wire[] = [];
    const listener = await listening(troubles, wires);
    const { port } = parseAddress(listener.address) as { port: number };
    const raw: Socket = connectRaw(port, '127.0.0.1');
    raw.on('error', quiet);
    raw.end('GET / HTTP/1.1\r\n\r\n'.repeat(20));
    raw.resume();
    await new Promise(closed => raw.on('close', closed));
    expect(troubles).toMatchObject([{ code: 'UNAUTHENTICATED' }]);
    const ear = new Ear(await tls('n1').dial(listener.address, { timeoutMs: 5_000 }));
    ear.wire.close(true);
    await ear.ended();
    await listener.close();
  });

  it('holds few connections that have not shown a certificate, and counts them rightly', async () => {
    const listener = await listening();
    const { port } = parseAddress(listener.address) as { port: number };
    for (let round = 0; round < 3; round++) {
      let closed = 0;
      const silent = Array.from({ length: unprovenMax + 10 }, () => {
        const socket = connectRaw(port, '127.0.0.1');
        socket.on('error', quiet).on('close', () => closed++);
        return socket;
      });
      while (closed < 10) await new Promise(setImmediate);
      for (const socket of silent) socket.destroy();
      while (closed < silent.length) await new Promise(setImmediate);
    }
    // The listener may hear of the last ends a little later than we: then a dial is turned away, but not a hundred of them.
    let wire: Wire | undefined;
    for (let tries = 0; wire === undefined && tries < 100; tries++)
      wire = await tls('n1')
        .dial(listener.address, { timeoutMs: 5_000 })
        .catch(() => undefined);
    expect(wire?.provenNames).toEqual(['n2']);
    wire?.close(true);
    await listener.close();
  });

  it('gives up a server that does not answer, when the time is over', async () => {
    const sockets: Socket[] = [];
    const mute = createServer(socket => sockets.push(socket));
    await new Promise<void>(listening => mute.listen(0, '127.0.0.1', listening));
    const timer = new HandClock();
    const { port } = mute.address() as { port: number };
    const dialled = tls('n1', { timer }).dial(`127.0.0.1:${port}`, { timeoutMs: 700 });
    const outcome = expect(dialled).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    timer.advance(700);
    await outcome;
    for (const socket of sockets) socket.destroy();
    mute.close();
  });

  it('proves itself by a new certificate once it has one, also where it listens already, and keeps the old for a bad one', async () => {
    const others = new Certificates();
    const [first, next] = [certificates.issue('n2'), others.issue('n2')];
    const transport = tls('n2', { identity: first });
    const listener = await transport.listen('127.0.0.1:0', quiet);
    const dial = (identity: TlsIdentity): Promise<Wire> =>
      tls('n1', { identity }).dial(listener.address, { timeoutMs: 5_000 });
    const theirs = others.issue('n1');
    const open = await dial(identities.n1);
    await expect(dial(theirs)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(() => transport.renew?.(others.issue('n3'))).toThrow(/certificate for n3/);
    expect(() => transport.renew?.({ ...next, key: first.key })).toThrow(/cannot be used/);
    (await dial(identities.n1)).close();
    transport.renew?.(next);
    (await dial(theirs)).close();
    await expect(dial(identities.n1)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(() => renew(tcp(), next)).toThrow(/started without 'tls'/);
    open.close();
    await listener.close();
    others.remove();
  });

  it.each<[string, string, string, string]>([
    ['its DNS name', 'whatever', 'DNS:n1', 'n1'],
    ['one of several', 'whatever', 'DNS:x,DNS:n1,IP:10.0.0.1', 'n1'],
    ['its common name when there is no other', 'n1', '', 'n1'],
  ])('knows a node by %s', (_what, common, san, name) => {
    const identity = certificates.issue(common, { san });
    expect(tls(name, { identity }).secure).toBe(true);
  });

  it.each<[string, object, RegExp]>([
    ['another name', certificates.issue('n3'), /certificate for n3; it must be for this node's name, 'n1'/],
    ['a common name beside other names', certificates.issue('n1', { san: 'DNS:n3' }), /certificate for n3/],
    ['no key', { ...identities.n1, key: '' }, /tls needs key, in PEM/],
    ['another key', { ...identities.n1, key: identities.n2.key }, /cannot be used/],
    ['nonsense', { ...identities.n1, cert: 'nonsense' }, /cannot be used/],
  ])('does not begin with %s', (_what, identity, message) => {
    const begin = () => tls('n1', { identity: identity as TlsIdentity });
    expect(begin).toThrow(message);
    expect(begin).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
  });
});
