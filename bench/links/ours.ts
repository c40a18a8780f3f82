// Troupe's links: the table of peers over real sockets, greeting, checksums, sessions and credit included.

import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Peers } from '../../src/runtime/links/peers.ts';
import { type SocketPeersOptions, socketPeers } from '../../src/runtime/links/socket-peers-host.ts';
import type { TlsIdentity } from '../../src/runtime/links/tls-wire.ts';
import { realWorld } from '../../src/runtime/real-world.ts';
import { Certificates } from '../../test/runtime/links/certificates.ts';
import { Unavailable } from '../harness.ts';
import type { OnFrame, Pipe, Way } from './side.ts';

interface Identities {
  readonly near: TlsIdentity;
  readonly far: TlsIdentity;
}

/** `given`: by the other process, to the far end of TLS. */
export function ourWay(kind: 'tcp' | 'tls' | 'unix', given?: unknown): Way {
  const identities = kind === 'tls' ? ((given as Identities | undefined) ?? newIdentities()) : undefined;
  const listen = kind === 'unix' ? `unix:${join(tmpdir(), `troupe-bench-${process.pid}`)}` : '127.0.0.1:0';
  const open = async (name: 'near' | 'far', onFrame: OnFrame): Promise<{ peers: Peers; up: Promise<void> }> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const options: SocketPeersOptions = {
      name,
      incarnation: 1,
      cluster: 'bench',
      listen: name === 'far' ? listen : undefined,
      advertise: undefined,
      peerVia: {},
      secret: 'a secret of the bench',
      tls: identities?.[name],
      insecure: false,
      world: realWorld({ threads: 0 }),
      onUp: () => resolve(),
      onDown: () => {},
      onFrame: (_from, bytes, view, start, end) => onFrame(bytes, view, start, end),
      onRefused: ({ message }) => process.stderr.write(`${message}\n`),
    };
    const peers = socketPeers(options);
    await peers.open();
    return { peers, up: promise };
  };
  const pipeOf = (peers: Peers, name: string): Pipe => {
    const link = peers.link(name);
    if (link === undefined) throw new Error(`no link with ${name}`);
    return { send: frame => link.send(frame), onWritable: fn => link.onWritable(fn), close: () => peers.stop() };
  };
  return {
    far: identities,
    async listen(onFrame) {
      const { peers, up } = await open('far', onFrame);
      const pipe = up.then(() => {
        if (kind === 'unix') rmSync(listen.slice('unix:'.length)); // who is connected needs it no more, and we will be killed
        return pipeOf(peers, 'near');
      });
      return { address: peers.address, pipe };
    },
    async dial(address, onFrame) {
      const { peers, up } = await open('near', onFrame);
      peers.connect('far', address);
      await up;
      return pipeOf(peers, 'far');
    },
  };
}

export function newIdentities(): Identities {
  try {
    const certificates = new Certificates();
    const identities = { near: certificates.issue('near'), far: certificates.issue('far') };
    certificates.remove();
    return identities;
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') throw new Unavailable('openssl is not on the PATH');
    throw error;
  }
}
