// An ask that would wait for itself: seen before it goes into the mailbox, and dealt with. deadlock.ts finds the cycle; here is
// what becomes of it.
//
//      would it wait? ──no──▶ mailbox
//         └─ in a cycle? ──no──▶ mailbox
//               └─ its type lets its own chain in, or only order holds it up ──▶ it runs at once
//               └─ only order holds up another message of the cycle ──▶ that one runs at once; look again
//               └─ DEADLOCK, with the chain
//
// Invariant: arrival order gives way only where keeping it would be a deadlock. Otherwise an `interleave` method, made to be
// called back, would be one whenever a third party happens to have a message in front.

import { TroupeError } from '../errors.ts';
import { chainDepthMax } from '../limits.ts';
import type { Activation } from './activation.ts';
import type { Call } from './call.ts';
import { type Cycle, chainOf, findCycle } from './deadlock.ts';
import type { Parked } from './extras.ts';
import { blocked, busy } from './flags.ts';
import type { Host } from './host.ts';
import { modeInFront, runMessage, startable } from './turns.ts';

/** True when the call has run or failed; false when it may go into the mailbox. */
export function settleCycle(host: Host, act: Activation, call: Call, head: number, a0: unknown, a1: unknown): boolean {
  if (call.depth > chainDepthMax || (call.chain !== null && call.chain.length > chainDepthMax)) {
    host.fail(call, tooDeep(act, call));
    return true;
  }
  if (call.turn?.open !== true && call.chain === null) return false;
  const mode = act.hosted.modes[(head >>> 2) & 255] as number;
  for (;;) {
    const stuck = !startable(act, mode);
    const waitsAs = stuck ? mode : modeInFront(act);
    const cycle = waitsAs < 0 ? undefined : cycleOf(act, call, waitsAs);
    if (cycle === undefined) return false;
    const reenters = act.hosted.spec.reentrant === 'same-chain' && isOfChain(act, call);
    if ((reenters || !stuck) && (act.flags & (blocked & ~busy)) === 0) {
      runMessage(host, act, { head, a0, a1, meta: call });
      return true;
    }
    if (cycle.heldUp !== null && runNow(host, cycle.heldUp)) continue;
    host.fail(call, deadlock(act, cycle.ids));
    return true;
  }
}

function cycleOf(act: Activation, call: Call, mode: number): Cycle | undefined {
  const local = call.turn === null ? undefined : findCycle(call.turn, act, mode);
  if (local !== undefined) return local;
  // Turns that are linked by a hop over another thread are only known by their addresses.
  if (!isAboveFarHop(call, act.id)) return undefined;
  const ids = chainOf(call.from, call.parent).concat(call.chain ?? []);
  const cycle = ids.slice(0, ids.indexOf(act.id) + 1).reverse();
  return { ids: [...cycle, act.id], heldUp: null };
}

function isAboveFarHop(call: Call, id: string): boolean {
  for (let each: Call | null = call; each !== null; each = each.parent)
    if (each.chain?.includes(id) === true) return true;
  return false;
}

function isOfChain(act: Activation, call: Call): boolean {
  return chainOf(call.from, call.parent)
    .concat(call.chain ?? [])
    .includes(act.id);
}

/** Takes a waiting message out of its line and runs it; false when it is not there. */
function runNow(host: Host, call: Call): boolean {
  const { act } = call;
  if (act === null || (act.flags & (blocked & ~busy)) !== 0) return false;
  const message = takeOut(act, call);
  if (message === undefined) return false;
  runMessage(host, act, message);
  return true;
}

function takeOut(act: Activation, call: Call): Parked | undefined {
  const front = act.extras?.front ?? [];
  const at = front.findIndex(each => each.meta === call);
  if (at >= 0) return front.splice(at, 1)[0];
  const { box } = act;
  if (box === null) return undefined;
  // Out and in again: a mailbox has no other way to be read, and this is rare.
  let found: Parked | undefined;
  const others: Parked[] = [];
  box.drainTo((head, a0, a1, meta) => {
    const each = { head, a0, a1, meta: meta as Call | null };
    if (meta === call) found = each;
    else others.push(each);
  });
  for (const { head, a0, a1, meta } of others) box.force(head, a0, a1, meta);
  return found;
}

function deadlock(act: Activation, chain: string[]): TroupeError {
  return new TroupeError(
    'DEADLOCK',
    `this ask would wait for itself: ${chain.join(' -> ')}. Make one of them a tell, or set reentrant: 'same-chain' on '${act.hosted.name}'`,
    { details: { chain } },
  );
}

function tooDeep(act: Activation, call: Call): TroupeError {
  const above = chainOf(call.from, call.parent).concat(call.chain ?? []);
  const chain = [...above.reverse(), act.id];
  return new TroupeError(
    'DEADLOCK',
    `asks are nested ${call.depth} deep, the most is ${chainDepthMax}; is it a recursion that does not end? The last were ${chain.slice(-4).join(' -> ')}`,
    { details: { chain, depth: call.depth } },
  );
}
