// What still passes through a node that has just given its last partition away: asks whose answers come back through it, tells that were
// sent before their senders had heard of it, and what had waited here for its actors.
//
//     flush: all that was sent here by the old way is here ─▶ none of it waits here, no ask is open ─▶ flush: what went on is there
//
// Intuition: whoever hears 'left' ends the session with this node, and what is on it ends with it: asks UNKNOWN_OUTCOME, tells lost. And
// gossip may come by a quicker way than what was sent before it. So nobody is told while anything passes.
//
// Invariant: bounded by leavePassingMs. Past it the node leaves all the same: somebody asks what takes longer than that.

import { leaveLookMs, leavePassingMs } from '../../limits.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { inTime } from '../in-time.ts';
import type { World } from '../world.ts';

export interface PassingOptions {
  readonly world: World;
  readonly gateway: Gateway;
  readonly linked: ReadonlyMap<string, number>;
}

export async function passed(options: PassingOptions): Promise<void> {
  const { world, gateway } = options;
  const until = world.clock.mono() + leavePassingMs;
  await flushed(options);
  while (isPassing(gateway) && world.clock.mono() < until)
    await new Promise<void>(again => world.clock.timer(leaveLookMs, again));
  await flushed(options);
}

function isPassing({ handoffs, relays }: Gateway): boolean {
  return handoffs.isBusy || relays.isBusy;
}

/** Whatever each of the others had sent to this node, and this node to them, has been read. Who does not answer has lost it anyway. */
async function flushed({ world, gateway, linked }: PassingOptions): Promise<void> {
  const late = (): Error => new Error('late');
  const asked = [...linked.values()].map(number =>
    inTime(world.clock, leavePassingMs, gateway.asked(number, 'handoff-flush', null), late).catch(() => undefined),
  );
  await Promise.all(asked);
}
