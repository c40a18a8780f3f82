// How the hosts of a process end together. An edge.
//
//   close ─▶ drain, drain ─▶ halt ─▶ threads end ─▶ jobs end ─▶ storage closes
//     │        │              └ what is still open is told so: STOPPED, or UNKNOWN_OUTCOME if it may have run
//     │        └ actors finish their turns, with each other's help, for drainMs at most
//     └ nothing comes from outside any more
//
// Invariant: it ends, whatever a handler, a thread or a disk does, and then no ask of this node is open.

import { commitStallMs } from '../limits.ts';
import type { Engine } from '../storage/engine.ts';
import type { Host } from './host.ts';
import type { Member } from './thread-host.ts';
import type { Jobs } from './thread-jobs.ts';
import type { ThreadPool } from './thread-pool.ts';
import type { World } from './world.ts';

/** Beyond the time to drain: for threads to say that they have, and to end. */
const stopGraceMs = 1_000;

export interface Ending {
  readonly world: World;
  readonly host: Host;
  /** Undefined: the host is alone. */
  readonly member: Member | undefined;
  readonly pool: ThreadPool | undefined;
  readonly threads: readonly number[];
  readonly jobs: Jobs;
  readonly engine: Engine;
  /** What moves between threads comes to its end. */
  rest(): Promise<unknown>;
}

export async function endAll(all: Ending, drainMs: number): Promise<void> {
  const { host, member, pool } = all;
  const { clock } = all.world;
  host.close();
  all.jobs.close();
  // A merge can be done in the next life; flushes go on, for what is written until all is at rest.
  all.engine.upkeep?.finish();
  const until = clock.mono() + drainMs;
  await within(all, drainMs + stopGraceMs, [all.rest()]);
  const drain = (): Promise<boolean> => {
    const ms = Math.max(0, until - clock.mono());
    return within(all, ms + stopGraceMs, [...everywhere(all, 'drain', ms), host.drain(ms)]);
  };
  // Twice: an actor may have been woken again by one on another thread that was not at rest yet.
  if (await drain()) await drain();
  await within(all, stopGraceMs, everywhere(all, 'halt', null));
  host.halt();
  member?.router.stop();
  await pool?.stop(stopGraceMs);
  // Before their threads go: a job that is called off leaves nothing behind, one that is killed leaves half a run.
  await within(all, stopGraceMs, [all.engine.upkeep?.stop() ?? Promise.resolve()]);
  await all.jobs.stop();
  member?.port.stop();
  await within(all, commitStallMs, [all.engine.close()]);
}

function everywhere({ member, pool, threads }: Ending, name: string, payload: unknown): Promise<unknown>[] {
  if (member === undefined || pool === undefined) return [];
  const { router } = member;
  return threads
    .filter(thread => router.peers[thread]?.gone !== true)
    .map(thread => router.query(thread, name, payload));
}

/** False when it has taken longer than that, or failed. */
function within({ world }: Ending, ms: number, works: readonly Promise<unknown>[]): Promise<boolean> {
  return new Promise(resolve => {
    const cancel = world.clock.timer(ms, () => resolve(false));
    const done = (well: boolean): void => {
      cancel();
      resolve(well);
    };
    Promise.all(works).then(
      () => done(true),
      error => {
        world.log.warn({ err: error }, 'stopping');
        done(false);
      },
    );
  });
}
