// How many threads the nodes of a scenario have.

import type { Threads } from '../node-life-host.ts';
import type { SimDisk } from './disk.ts';
import { type Draw, whole } from './draws.ts';
import type { NodeRules } from './node-plan.ts';
import type { SimWorld } from './process.ts';

/** What may wait between two threads: so little that most frames are larger than a fourth of it and nothing may pass them, or plenty. */
const [littleBytes, plentyBytes] = [8_192, 262_144] as const;

/** Drawn for each life of a node. Undefined: its actors run on the thread that speaks for it. */
export function threadsOf(
  draw: Draw,
  { threads }: NodeRules,
  { name, life, thread }: SimWorld,
  disk: SimDisk,
): Threads | undefined {
  if (threads === undefined) return undefined;
  const count = 1 + whole(draw('threads', name, life), threads);
  const linkBytes = draw('link bytes', name, life) < 0.3 ? littleBytes : plentyBytes;
  return { count, linkBytes, world: thread, engine: gate => disk.beside(gate) };
}
