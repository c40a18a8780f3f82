import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compare,
  type Dot,
  type DvvSet,
  descends,
  discard,
  dotted,
  emptySet,
  join,
  joinAfterWrite,
  keep,
  nothingSeen,
  type Seen,
  sameSet,
  size,
  sync,
  update,
  values,
} from '../../src/actors/dvv.ts';

type Set1 = DvvSet<string>;

/** The paper's notation: [actor, counter, values newest first]. */
const shown = (set: Set1) => [...set].map(([actor, entry]) => [actor, entry.counter, [...entry.values]]);
const clock = (set: Set1) => Object.fromEntries(join(set).upTo);
const vector = (entries: Record<string, number>) => new Map(Object.entries(entries));
const seen = (entries: Record<string, number>): Seen => ({ upTo: vector(entries), except: new Map() });

/** A write as a vnode does it: the new set, and what the writer has seen afterwards. */
function write(set: Set1, before: Seen, value: string, actor: string): { set: Set1; seen: Seen; dot: Dot } {
  const next = update(set, before, value, actor);
  const dot = { actor, counter: (next.get(actor) as { counter: number }).counter };
  return { set: next, seen: joinAfterWrite(next, before, dot), dot };
}

describe('the walk-through of the seed (A-69 to A-74)', () => {
  const d1 = update(emptySet<string>(), nothingSeen, 'D1', 'Sx');
  const d2 = update(d1, join(d1), 'D2', 'Sx');
  const onSy = update(d2, join(d2), 'D3', 'Sy');
  const onSz = update(d2, join(d2), 'D4', 'Sz');
  const healed = sync(onSy, onSz);
  const d5 = update(healed, join(healed), 'D5', 'Sx');

  it('counts one for the first write and two for the second, which replaces it', () => {
    expect(shown(d1)).toEqual([['Sx', 1, ['D1']]]);
    expect(shown(d2)).toEqual([['Sx', 2, ['D2']]]);
  });

  it('gives each side of a cut its own entry', () => {
    expect(clock(onSy)).toEqual({ Sx: 2, Sy: 1 });
    expect(clock(onSz)).toEqual({ Sx: 2, Sz: 1 });
    expect(compare(join(onSy).upTo, join(onSz).upTo)).toBe('concurrent');
  });

  it('returns both values after the cut, and one after they were resolved', () => {
    expect(values(healed).sort()).toEqual(['D3', 'D4']);
    expect(clock(healed)).toEqual({ Sx: 2, Sy: 1, Sz: 1 });
    expect(values(d5)).toEqual(['D5']);
    expect(clock(d5)).toEqual({ Sx: 3, Sy: 1, Sz: 1 });
  });
});

describe('vectors', () => {
  it.each([
    [{ Sx: 1 }, { Sx: 2 }, 'before'],
    [{ Sx: 2 }, { Sx: 1 }, 'after'],
    [{ Sx: 2, Sy: 1 }, { Sx: 2, Sz: 1 }, 'concurrent'],
    [{}, { Sx: 1 }, 'before'],
    [{}, {}, 'equal'],
    [{ Sx: 2, Sy: 1 }, { Sy: 1, Sx: 2 }, 'equal'],
    [{ Sx: 1 }, { Sx: 1, Sy: 0 }, 'equal'],
  ])('%j compared with %j is %s (A-75)', (a, b, order) => {
    expect(compare(vector(a), vector(b))).toBe(order);
    expect(descends(vector(a), vector(b))).toBe(order === 'after' || order === 'equal');
  });

  it('increments an entry that exists and creates one that does not (A-77)', () => {
    const start = discard(emptySet<string>(), seen({ s1: 3, s2: 1 }));
    expect(clock(update(start, nothingSeen, 'v', 's1'))).toEqual({ s1: 4, s2: 1 });
    expect(clock(update(start, nothingSeen, 'v', 's3'))).toEqual({ s1: 3, s2: 1, s3: 1 });
  });
});

describe('dotted version vector sets', () => {
  it('agree with the reference values (A-79)', () => {
    const a0 = update(emptySet<string>(), nothingSeen, 'v1', 'a');
    const a1 = update(a0, join(a0), 'v2', 'a');
    const a2 = update(a1, join(a1), 'v3', 'b');
    const a3 = update(a1, join(a0), 'v4', 'b');
    const a4 = update(a1, join(a0), 'v5', 'a');
    expect([a0, a1, a2, a3, a4].map(shown)).toEqual([
      [['a', 1, ['v1']]],
      [['a', 2, ['v2']]],
      [
        ['a', 2, []],
        ['b', 1, ['v3']],
      ],
      [
        ['a', 2, ['v2']],
        ['b', 1, ['v4']],
      ],
      [['a', 3, ['v5', 'v2']]],
    ]);
  });

  it('keep the blind writes a context did not cover, and drop the one it did (A-78)', () => {
    const v1 = write(emptySet(), nothingSeen, 'v1', 'A');
    const v2 = write(v1.set, nothingSeen, 'v2', 'A');
    const v3 = write(v2.set, v1.seen, 'v3', 'A');
    expect(values(v3.set)).toEqual(['v3', 'v2']);
    expect(clock(v3.set)).toEqual({ A: 3 });
  });

  it('stay at two siblings however often two clients alternate with their own contexts (A-80)', () => {
    let set: Set1 = emptySet();
    const contexts: [Seen, Seen] = [nothingSeen, nothingSeen];
    for (let turn = 0; turn < 12; turn++) {
      const client = (turn % 2) as 0 | 1;
      const done = write(set, contexts[client], `c${client}-${turn}`, 'A');
      set = done.set;
      contexts[client] = done.seen;
    }
    expect(values(set)).toEqual(['c1-11', 'c0-10']);
    expect(clock(set)).toEqual({ A: 12 });
  });

  it('keep a value nobody has read when another client writes twice without reading', () => {
    const first = write(emptySet(), nothingSeen, 'book', 'A');
    const other = write(first.set, nothingSeen, 'pen', 'A');
    const again = write(other.set, other.seen, 'two pens', 'A');
    expect(values(again.set)).toEqual(['two pens', 'book']);
    expect(again.set.get('A')).toEqual({ counter: 3, dots: [3, 1], values: ['two pens', 'book'] });
  });

  it('never claim as history a write the context excludes and the replica does not know', () => {
    const book = write(emptySet(), nothingSeen, 'book', 'A');
    const pen = write(book.set, nothingSeen, 'pen', 'A');
    // The pen's writer goes to B, which has seen neither; then the replicas meet.
    const onB = write(emptySet(), pen.seen, 'two pens', 'B');
    expect(values(sync(onB.set, pen.set))).toContain('book');
    expect(values(sync(pen.set, onB.set))).toContain('book');
  });

  it('replaying what is already known changes nothing (A-82)', () => {
    const v1 = write(emptySet(), nothingSeen, 'v1', 'A');
    const v2 = write(v1.set, v1.seen, 'v2', 'A');
    expect(sameSet(sync(v2.set, v1.set), v2.set)).toBe(true);
    expect(sameSet(sync(v2.set, v2.set), v2.set)).toBe(true);
    expect(sameSet(sync(v1.set, v2.set), v2.set)).toBe(true);
    expect(sameSet(v1.set, v2.set)).toBe(false);
  });

  it('tell the sets apart that differ only in which dots are current', () => {
    const both: Set1 = new Map([['a', { counter: 2, dots: [2, 1], values: ['y', 'x'] }]]);
    const one: Set1 = new Map([['a', { counter: 2, dots: [2], values: ['y'] }]]);
    const other: Set1 = new Map([['a', { counter: 2, dots: [1], values: ['x'] }]]);
    expect(sameSet(both, one)).toBe(false);
    expect(sameSet(one, other)).toBe(false);
    expect(values(sync(both, one))).toEqual(['y']);
    expect(values(sync(one, other))).toEqual([]);
  });

  it('keep() drops values and remembers that they were seen', () => {
    const set: Set1 = new Map([['a', { counter: 2, dots: [2, 1], values: ['y', 'x'] }]]);
    const winner = keep(set, value => value === 'x');
    expect(winner.get('a')).toEqual({ counter: 2, dots: [1], values: ['x'] });
    expect(values(sync(winner, set))).toEqual(['x']);
    expect([...dotted(winner)]).toEqual([{ dot: { actor: 'a', counter: 1 }, value: 'x' }]);
  });

  it('hold actor ids that are names of object properties', () => {
    const set = write(emptySet(), nothingSeen, 'v', '__proto__').set;
    const merged = sync(set, write(emptySet(), nothingSeen, 'w', 'constructor').set);
    expect(size(merged)).toBe(2);
    expect(({} as Record<string, unknown>).counter).toBeUndefined();
  });
});

// ---- random histories -------------------------------------------------------------------------------------------

const actors = ['a', 'b', 'c'];

type Step =
  | { type: 'write'; replica: number; client: number; context: 'none' | 'read' | 'written' }
  | { type: 'read'; replica: number; client: number }
  | { type: 'ship'; replica: number; to: number };

const index = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('write' as const),
      replica: index,
      client: index,
      context: fc.constantFrom('none' as const, 'read' as const, 'written' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('read' as const), replica: index, client: index }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('ship' as const), replica: index, to: index }) },
);

/** What a client holds, and beside it the plain list of writes it was really shown. */
interface Held {
  seen: Seen;
  shown: ReadonlySet<string>;
}

interface Run {
  /** Every set that any replica ever was. */
  history: Set1[];
  merged: Set1;
  written: string[];
  /** Writes that were shown to somebody who then wrote over them: only these may be gone. */
  mayBeGone: Set<string>;
}

function run(steps: readonly Step[], replicas: number, contexts: readonly string[]): Run {
  const sets: Set1[] = Array.from({ length: replicas }, () => emptySet<string>());
  const unheld: Held = { seen: nothingSeen, shown: new Set() };
  const lastRead: Held[] = [unheld, unheld, unheld];
  const lastWrite: Held[] = [unheld, unheld, unheld];
  const result: Run = { history: [], merged: emptySet(), written: [], mayBeGone: new Set() };
  for (const { replica: any, ...at } of steps) {
    const replica = any % replicas;
    const set = sets[replica] as Set1;
    if (at.type === 'ship') {
      sets[at.to % replicas] = sync(sets[at.to % replicas] as Set1, set);
    } else if (at.type === 'read') {
      lastRead[at.client] = { seen: join(set), shown: new Set(values(set)) };
    } else {
      const source = contexts.includes(at.context) ? at.context : 'none';
      const held = source === 'none' ? unheld : ((source === 'read' ? lastRead : lastWrite)[at.client] as Held);
      const value = `v${result.written.length}`;
      const done = write(set, held.seen, value, actors[replica] as string);
      sets[replica] = done.set;
      lastWrite[at.client] = { seen: done.seen, shown: new Set([...held.shown, value]) };
      result.written.push(value);
      for (const old of held.shown) result.mayBeGone.add(old);
    }
    result.history.push(...sets);
  }
  result.merged = sets.reduce((all, set) => sync(all, set));
  return result;
}

const steps = fc.array(step, { maxLength: 40 });
const sorted = (list: Iterable<string>) => [...list].sort();
const same = (a: Set1, b: Set1) => sameSet(a, b) && sorted(values(a)).join() === sorted(values(b)).join();
const settings = { seed: 81, numRuns: 300 };

describe('laws over random histories (A-81)', () => {
  it('sync is commutative, associative and idempotent', () => {
    fc.assert(
      fc.property(steps, fc.nat(), fc.nat(), fc.nat(), (list, x, y, z) => {
        const { history } = run(list, 3, ['read', 'written']);
        if (history.length === 0) return;
        const [a, b, c] = [x, y, z].map(i => history[i % history.length] as Set1) as [Set1, Set1, Set1];
        expect(same(sync(a, b), sync(b, a))).toBe(true);
        expect(same(sync(sync(a, b), c), sync(a, sync(b, c)))).toBe(true);
        expect(same(sync(a, a), a)).toBe(true);
        expect(same(sync(sync(a, b), a), sync(a, b))).toBe(true);
      }),
      settings,
    );
  });

  it('no written value disappears unless somebody who was shown it wrote over it', () => {
    fc.assert(
      fc.property(steps, list => {
        const { merged, written, mayBeGone } = run(list, 3, ['read', 'written']);
        const left = new Set(values(merged));
        expect(written.filter(value => !left.has(value) && !mayBeGone.has(value))).toEqual([]);
      }),
      settings,
    );
  });

  it('what a reader wrote over is gone once the replicas have met', () => {
    fc.assert(
      fc.property(steps, list => {
        const { merged, written, mayBeGone } = run(list, 3, ['read']);
        expect(sorted(values(merged))).toEqual(sorted(written.filter(value => !mayBeGone.has(value))));
      }),
      settings,
    );
  });

  it('on one replica exactly the values nobody wrote over remain, whatever context the writers hold', () => {
    fc.assert(
      fc.property(steps, list => {
        const { merged, written, mayBeGone } = run(list, 1, ['read', 'written']);
        expect(sorted(values(merged))).toEqual(sorted(written.filter(value => !mayBeGone.has(value))));
      }),
      settings,
    );
  });

  it('every reachable set is well formed', () => {
    fc.assert(
      fc.property(steps, list => {
        for (const set of run(list, 3, ['read', 'written']).history) {
          for (const { counter, dots, values: held } of set.values()) {
            expect(dots.length).toBe(held.length);
            expect(dots.every((dot, i) => dot >= 1 && dot <= counter && (i === 0 || dot < (dots[i - 1] ?? 0)))).toBe(
              true,
            );
          }
        }
      }),
      { seed: 82, numRuns: 100 },
    );
  });
});
