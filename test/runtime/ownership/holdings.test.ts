// The state of a ring under random histories: nodes that hand on what is theirs, claim, and hear of each other in any order.

import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../bench/stats.ts';
import {
  claimed,
  effective,
  founded,
  handedOn,
  type Merged,
  mergeStates,
  type RingState,
  turnsOf,
  withChanges,
} from '../../../src/runtime/ownership/holdings.ts';
import { changed, memberOf, type Ring, ringHash } from '../../../src/runtime/ownership/ring.ts';
import { type Changes, commit, forget, isRefusal, plan } from '../../../src/runtime/ownership/ring-plan.ts';
import { member, ringOf, seenByAll } from './clusters.ts';

const ring = ringOf('a b c d a b c d');
const state = founded(ring);

function merged(ours: RingState, theirs: RingState): Merged {
  const both = mergeStates(ours, theirs);
  if (both === 'foreign') throw new Error('foreign');
  return both;
}
function committed(of: Ring, changes: Changes): Ring {
  const planned = plan(of, changes);
  if (isRefusal(planned)) throw new Error(planned.error);
  const next = commit(of, planned, of.claimant, seenByAll(of));
  if (isRefusal(next)) throw new Error(next.error);
  return next;
}
const statusOf = (of: RingState, name: string): string | undefined => memberOf(effective(of), name)?.status;

describe('the state of a ring', () => {
  it('is at birth the ring it was founded by', () => {
    expect(effective(state)).toEqual(ring);
    expect(state.birth).toBe(ringHash(ring));
  });

  it('has an owner less to wish for with each partition that is handed on, and a later epoch', () => {
    let now = claimed(state, committed(ring, { join: [{ name: 'e' }] }));
    const { next } = effective(now);
    expect(next.length).toBeGreaterThan(0);
    for (const [at, { partition, to }] of next.entries()) {
      const { epoch } = effective(now);
      now = handedOn(now, partition, to);
      const after = effective(now);
      expect(after.owners[partition]).toBe(to);
      expect(after.next).toEqual(next.slice(at + 1));
      expect(after.epoch).toBe(epoch + 1);
    }
    expect(turnsOf(now.holdings)).toBe(next.length);
  });

  it('shows a claim as it was committed, and counts claims apart from turns', () => {
    const moved = handedOn(handedOn(state, 0, 'b'), 0, 'c');
    const next = committed(effective(moved), { weights: { a: 3 } });
    const after = claimed(moved, next);
    expect(after.claim.epoch).toBe(2);
    expect(effective(after)).toEqual(next);
    expect(effective(after).epoch).toBe(effective(moved).epoch + 1);
  });

  it('lets go of who leaves when it owns nothing and is to get nothing, and not before', () => {
    let now = claimed(state, committed(ring, { leave: ['d'] }));
    expect(statusOf(now, 'd')).toBe('leaving');
    for (const { partition, to } of effective(now).next) now = handedOn(now, partition, to);
    expect(statusOf(now, 'd')).toBe('exiting');
    const gone = claimed(now, forget(effective(now), 'd', 'a'));
    expect(statusOf(gone, 'd')).toBeUndefined();
    // What somebody gives it all the same, by an older wish, it owns.
    expect(effective(handedOn(gone, 0, 'd')).owners[0]).toBe('d');
  });

  it('has owners that are no members, who are to give all away with whatever is planned next', () => {
    const stranded = handedOn(handedOn(state, 0, 'x'), 4, 'x');
    const next = committed(effective(stranded), { join: [{ name: 'e' }] });
    const fromX = next.next.filter(({ from }) => from === 'x');
    expect(fromX.map(({ partition }) => partition)).toEqual([0, 4]);
    const planned = plan(effective(stranded), { leave: ['x'] });
    if (isRefusal(planned)) throw new Error(planned.error);
    expect(planned.transfers.map(({ partition, reason }) => [partition, reason])).toEqual([
      [0, 'leave'],
      [4, 'leave'],
    ]);
    expect(planned.ring.owners).not.toContain('x');
    expect(committed(effective(stranded), { join: [{ name: 'x' }] }).members.map(({ name }) => name)).toContain('x');
  });
});

describe('two states', () => {
  it('of other birth, or cut otherwise, never mix', () => {
    const other = founded(ringOf('b a c d a b c d'));
    expect(mergeStates(state, other)).toBe('foreign');
    expect(mergeStates(state, { ...state, holdings: state.holdings.slice(1) })).toBe('foreign');
  });

  it('of which one adds nothing are the one', () => {
    const later = handedOn(state, 3, 'a');
    expect(merged(later, state).state).toBe(later);
    expect(merged(later, structuredClone(later)).state).toBe(later);
    expect(merged(later, state).changes).toEqual([]);
  });

  it('make each what the other knows, and say what has changed hands', () => {
    const a = handedOn(handedOn(state, 0, 'b'), 0, 'c');
    const b = claimed(handedOn(state, 3, 'a'), changed(ring, 'b', { members: [...ring.members, member('e')] }));
    const { state: both, changes } = merged(a, b);
    expect(changes).toEqual([{ partition: 3, from: 'd', to: 'a', turn: 1, known: 0 }]);
    expect(merged(b, a).changes).toEqual([{ partition: 0, from: 'a', to: 'c', turn: 2, known: 0 }]);
    expect(both).toEqual(merged(b, a).state);
    expect(both.claim).toBe(b.claim);
    expect(merged(state, handedOn(handedOn(state, 0, 'b'), 0, 'a')).changes).toEqual([
      { partition: 0, from: 'a', to: 'a', turn: 2, known: 0 },
    ]);
  });

  it('are one also when only the changes are told', () => {
    const later = handedOn(handedOn(state, 1, 'd'), 5, 'd');
    const { changes } = merged(state, later);
    expect(merged(state, withChanges(state, changes)).state).toEqual(later);
    expect(merged(later, withChanges(later, changes.slice(1))).state).toBe(later);
    expect(withChanges(state, [{ partition: 99, to: 'd', turn: 1 }])).toEqual(state);
  });
});

describe.each([1, 2, 3, 4, 5, 6, 7, 8])('a random history (seed %i)', seed => {
  it('has one owner for each turn, epochs that never fall, and merges to the same in any order', () => {
    const random = seededRandom(seed);
    const below = (count: number): number => Math.floor(random() * count);
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const states = new Map(names.map(name => [name, state]));
    const of = (name: string): RingState => states.get(name) as RingState;
    const pick = (): string => names[below(names.length)] as string;
    /** By partition and turn: who owned it, written by the owner before. */
    const owners = ring.owners.map(owner => [owner]);

    const become = (name: string, next: RingState): void => {
      const [before, after] = [effective(of(name)), effective(next)];
      expect(after.epoch).toBeGreaterThanOrEqual(before.epoch);
      for (const { partition, from, to } of after.next)
        expect([from, to !== from]).toEqual([after.owners[partition], true]);
      for (const [partition, { owner, turn }] of next.holdings.entries()) expect(owner).toBe(owners[partition]?.[turn]);
      states.set(name, next);
    };
    const hand = (name: string): void => {
      const own = of(name).holdings.flatMap(({ owner }, partition) => (owner === name ? [partition] : []));
      const wished = effective(of(name)).next.find(({ from }) => from === name);
      const partition = wished?.partition ?? own[below(own.length)];
      const to = wished?.to ?? pick();
      if (partition === undefined || to === name) return;
      owners[partition]?.push(to);
      become(name, handedOn(of(name), partition, to));
      expect(owners[partition]?.length).toBe((of(name).holdings[partition]?.turn as number) + 1);
    };
    const claim = (name: string): void => {
      const now = effective(of(name));
      const goer = pick();
      const changes = [{ join: [{ name: pick() }] }, { leave: [goer] }, { weights: { [goer]: below(3) } }][below(3)];
      const planned = plan(now, changes as Changes);
      const next = isRefusal(planned) ? planned : commit(now, planned, name, seenByAll(now));
      if (isRefusal(next)) return;
      become(name, claimed(of(name), next as Ring));
      expect(effective(of(name))).toEqual(next);
    };
    for (let step = 0; step < 400; step++) {
      const [name, other] = [pick(), pick()];
      if (below(3) === 0) hand(name);
      else if (below(6) === 0) claim(name);
      else become(name, merged(of(name), of(other)).state);
      if (step % 20 !== 0) continue;
      const [a, b, c] = [of(pick()), of(pick()), of(pick())];
      expect(merged(a, b).state).toEqual(merged(b, a).state);
      expect(merged(merged(a, b).state, c).state).toEqual(merged(a, merged(b, c).state).state);
      expect(merged(merged(a, b).state, b).state).toEqual(merged(a, b).state);
      expect(merged(a, a).state).toBe(a);
    }
    const all = names.map(of).reduce((sum, each) => merged(sum, each).state);
    expect(all.holdings.map(({ turn }) => turn + 1)).toEqual(owners.map(({ length }) => length));
  });
});
