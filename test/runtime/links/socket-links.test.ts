// Links between nodes over real sockets, greeting included, keep the contract of all links: TCP, TLS, Unix.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import type { LinkWriter, OnFrame } from '../../../src/runtime/link.ts';
import { parseAddress } from '../../../src/runtime/links/address.ts';
import { Peers } from '../../../src/runtime/links/peers.ts';
import { type SocketPeersOptions, socketPeers } from '../../../src/runtime/links/socket-peers-host.ts';
import { tlsTransport } from '../../../src/runtime/links/tls-wire.ts';
import { realWorld } from '../../../src/runtime/real-world.ts';
import { type LinkPair, linkContract } from '../link-contract.ts';
import { Certificates } from './certificates.ts';
import { hmac } from './town.ts';

const certificates = new Certificates();
const identities = { n1: certificates.issue('n1'), n2: certificates.issue('n2') };
const folder = mkdtempSync(join(tmpdir(), 'troupe-links-'));
afterAll(() => {
  certificates.remove();
  rmSync(folder, { recursive: true });
});

const world = realWorld({ threads: 0 });
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

interface Side {
  readonly peers: Peers;
  readonly ups: string[];
  readonly downs: string[];
}

type Settings = Partial<SocketPeersOptions>;

async function sideOf(name: 'n1' | 'n2', settings: Settings): Promise<Side> {
  const [ups, downs]: string[][] = [[], []];
  const peers = socketPeers({
    name,
    incarnation: 1,
    cluster: 'c',
    listen: '127.0.0.1:0',
    advertise: undefined,
    peerVia: {},
    secret: undefined,
    tls: undefined,
    insecure: false,
    world,
    onUp: peer => void ups?.push(peer.name),
    onDown: (peer, reason) => void downs?.push(`${peer.name} ${reason}`),
    onFrame: () => {},
    onRefused: refusal => void downs?.push(refusal.message),
    ...settings,
  });
  await peers.open();
  return { peers, ups: ups as string[], downs: downs as string[] };
}

/** Waits for real sockets, a turn of the event loop at a time. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

interface Numbers {
  readonly unackedBytes: number;
  readonly credit: number;
  readonly heldBytes: number;
}

const numbersOf = (peers: Peers): Numbers => peers.describe().peers[0]?.link as Numbers;

async function openPair(onFrame: OnFrame, bytesMax: number, each: (name: 'n1' | 'n2') => Settings): Promise<LinkPair> {
  const received: Settings = {
    linkBytes: bytesMax,
    onFrame: (_from, bytes, view, start, end) => onFrame(0, bytes, view, start, end),
  };
  const a = await sideOf('n1', { ...each('n1'), linkBytes: bytesMax });
  const b = await sideOf('n2', { ...each('n2'), ...received });
  a.peers.connect('n2', b.peers.address);
  await until(() => a.ups.length > 0);
  /** All that was sent has arrived, and the sender knows what was handed out and what it may send. */
  const isAtRest = (): boolean => {
    const [sender, receiver] = [numbersOf(a.peers), numbersOf(b.peers)];
    return sender.unackedBytes === receiver.heldBytes && sender.credit === bytesMax - receiver.heldBytes;
  };
  return {
    writer: a.peers.link('n2') as LinkWriter,
    hold: () => b.peers.pause('n1'),
    release: () => b.peers.resume('n1'),
    async settle() {
      for (let still = 0; still < 3; still = isAtRest() ? still + 1 : 0) await turn();
    },
    close: async () => void (await Promise.all([a.peers.stop(), b.peers.stop()])),
  };
}

let sockets = 0;
const secret = 'correct horse battery staple';
const kinds: [string, (name: 'n1' | 'n2') => Settings][] = [
  ['TCP link', () => ({ secret })],
  ['TLS link', name => ({ tls: identities[name] })],
  ['TLS link with a secret', name => ({ tls: identities[name], secret })],
  ['Unix socket link', () => ({ listen: `unix:${folder}/${++sockets}` })],
];

for (const [name, settings] of kinds)
  linkContract(name, { open: onFrame => openPair(onFrame, 16_384, settings), bytesMax: 16_384, runs: 5 });

describe('nodes over real sockets', () => {
  it.each(kinds)('%s: say goodbye when they stop, with nothing left behind', async (_name, settings) => {
    const [a, b] = [await sideOf('n1', settings('n1')), await sideOf('n2', settings('n2'))];
    a.peers.connect('n2', b.peers.address);
    b.peers.connect('n1', a.peers.address);
    await until(() => a.ups.length > 0 && b.ups.length > 0);
    for (let i = 0; i < 100; i++) a.peers.link('n2')?.send(new Uint8Array(10_000));
    await a.peers.stop();
    await until(() => b.downs.some(line => line.includes('goodbye')));
    expect([a.ups, b.ups, a.downs.at(-1)]).toEqual([['n2'], ['n1'], 'n2 stopped']);
    await b.peers.stop();
  });

  it('refuse a node whose certificate is for another name, whoever dials', async () => {
    // n2's process has n2's certificate and says that it is n1: only a patched node can, so it is put together by hand.
    const refusals: string[] = [];
    const honest = await sideOf('n2', { tls: identities.n2 });
    const third = certificates.issue('n3');
    const liar = new Peers({
      name: 'n1',
      incarnation: 1,
      cluster: 'c',
      listen: undefined,
      advertise: undefined,
      peerVia: {},
      secret: undefined,
      insecure: false,
      world,
      transport: tlsTransport({ name: 'n3', tls: third, clock: world.clock, onTrouble: () => {} }),
      crc32,
      hmac,
      onUp: () => void refusals.push('up'),
      onDown: () => {},
      onFrame: () => {},
      onRefused: ({ reason, by }) => void refusals.push(`${by} ${reason}`),
    });
    await liar.open();
    liar.connect('n2', honest.peers.address);
    await until(() => refusals.length > 0);
    expect(refusals).toEqual(['them certificate']);
    await until(() => honest.downs.length > 0);
    expect(honest.downs).toEqual([
      expect.stringContaining('the certificate is for n3; it must be for the name of the node'),
    ]);
    await Promise.all([liar.stop(), honest.peers.stop()]);
  });

  it('do not open a port for strangers', async () => {
    const open = (settings: Settings): Promise<Side> => sideOf('n1', { listen: '0.0.0.0:0', ...settings });
    await expect(open({})).rejects.toMatchObject({ code: 'BAD_OPTION', details: { missing: ['tls', 'secret'] } });
    await expect(open({ secret })).rejects.toMatchObject({ details: { missing: ['tls'] } });
    await expect(open({ tls: identities.n1 })).rejects.toMatchObject({ details: { missing: ['secret'] } });
    for (const settings of [{ tls: identities.n1, secret }, { insecure: true }]) {
      const side = await open(settings);
      expect(parseAddress(side.peers.address)).toMatchObject({ host: '0.0.0.0' });
      await side.peers.stop();
    }
  });
});
