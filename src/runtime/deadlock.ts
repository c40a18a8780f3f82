// Finds a cycle of waiting turns the moment an ask would close it. Pure: it only follows pointers.
//
// Intuition: an open exclusive turn waits for the calls it made; each call waits for its receiver's open turn. If from the
// receiver we can walk back to the asker, the ask can never be answered. An ask from another thread brings the addresses
// above it along (`chain`), so a cycle across threads is found when it comes back to where it began.
// Limit: two chains on different threads that cross (neither contains the other) are not seen here; they end by deadline.

import type { Activation } from './activation.ts';
import type { Call } from './call.ts';

/** Visits at most this many activations; a fan-out beyond it is left to the deadline. */
const visitsMax = 256;

/** The cycle as addresses, asker first, receiver repeated last; undefined when there is none. */
export function findCycle(asker: Activation, receiver: Activation): string[] | undefined {
  if (asker === receiver) return [asker.id, receiver.id];
  const seen = new Set<Activation>([receiver]);
  const path: Activation[] = [];
  const walk = (at: Activation): boolean => {
    path.push(at);
    for (let call: Call | null = at.waits; call !== null; call = call.nextWaiting) {
      const next = call.act;
      if (next === null) continue;
      if (next === asker) return true;
      if (seen.has(next) || seen.size >= visitsMax) continue;
      seen.add(next);
      if (walk(next)) return true;
    }
    path.pop();
    return false;
  };
  if (!walk(receiver)) return undefined;
  return [asker.id, ...path.map(each => each.id), asker.id];
}

/** The addresses of the turns above a turn: what travels with an ask to another thread. Nearest first. */
export function chainOf(from: Activation | null, parent: Call | null): string[] {
  const ids: string[] = [];
  if (from !== null) ids.push(from.id);
  for (let call = parent; call !== null; call = call.parent) {
    if (call.from !== null) ids.push(call.from.id);
    if (call.chain !== null) ids.push(...call.chain);
  }
  return ids;
}
