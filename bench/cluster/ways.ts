// The ways between two nodes by their names, for both ends. Loaded when their turn comes.

import type { ThreadSide } from '../threads/side.ts';
import type { OurKind } from './ours.ts';

/** The far end. Resolves with the address to dial. */
export type Listen = (given: unknown) => Promise<string>;

interface Loader {
  side(): Promise<ThreadSide>;
  listen(): Promise<Listen>;
}

const ours = (name: string, kind: OurKind): Loader => ({
  side: async () => (await import('./ours.ts')).troupeSide(name, kind),
  listen: async () => (await import('./ours.ts')).listen,
});

const loaders: Readonly<Record<string, Loader>> = {
  'troupe TCP': ours('troupe TCP', { threads: 0, tls: false }),
  'troupe TCP, a thread': ours('troupe TCP, a thread', { threads: 1, tls: false }),
  'troupe TLS': ours('troupe TLS', { threads: 0, tls: true }),
  Moleculer: {
    side: async () => (await import('./moleculer.ts')).moleculerSide('Moleculer'),
    listen: async () => (await import('./moleculer.ts')).listen,
  },
  'HTTP (fastify, undici)': {
    side: async () => (await import('./http.ts')).httpSide('HTTP (fastify, undici)'),
    listen: async () => (await import('./http.ts')).listen,
  },
  'node:net + msgpackr': {
    side: async () => (await import('./net.ts')).netSide('node:net + msgpackr'),
    listen: async () => (await import('./net.ts')).listen,
  },
};

export const wayNames: readonly string[] = Object.keys(loaders);

const vnodeFar = async (): Promise<Listen> => (await import('./handing-node.ts')).listen;

export const loadSide = (name: string): Promise<ThreadSide> => loaderOf(name).side();

export const loadListen = (name: string): Promise<Listen> =>
  name === 'a vnode' ? vnodeFar() : loaderOf(name).listen();

function loaderOf(name: string): Loader {
  const loader = loaders[name];
  if (loader === undefined) throw new Error(`no way named ${name}`);
  return loader;
}
