// The ways between two processes by their names, for both ends. Loaded when their turn comes.

import type { Way } from './side.ts';

const loaders: Readonly<Record<string, (far: unknown) => Promise<Way>>> = {
  'troupe TCP': async () => (await import('./ours.ts')).ourWay('tcp'),
  'troupe TLS': async far => (await import('./ours.ts')).ourWay('tls', far),
  'troupe Unix': async () => (await import('./ours.ts')).ourWay('unix'),
  'node:net': async () => (await import('./net.ts')).netWay(false),
  'node:net corked': async () => (await import('./net.ts')).netWay(true),
  'process.send': async () => (await import('./ipc.ts')).ipcWay(),
};

export const wayNames: readonly string[] = Object.keys(loaders);

/** `far`: what the other process said, for the far end of it. */
export function loadWay(name: string, far?: unknown): Promise<Way> {
  const load = loaders[name];
  if (load === undefined) throw new Error(`no way named ${name}`);
  return load(far);
}
