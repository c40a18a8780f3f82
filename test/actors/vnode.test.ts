import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actorIdOf, freshEpoch } from '../../src/actors/actor-id.ts';
import { type Context, contextOf } from '../../src/actors/context.ts';
import { join, sameSet, size } from '../../src/actors/dvv.ts';
import { beginning, type Stamp } from '../../src/actors/hlc.ts';
import { OpMemo } from '../../src/actors/op-memo.ts';
import { type Sibling, type SiblingSet, viewOf } from '../../src/actors/sibling.ts';
import { decodeSet, encodeSet } from '../../src/actors/version-codec.ts';
import {
  type Current,
  lastWriter,
  merge,
  type PutRequest,
  put,
  type Refused,
  remove,
  type StoreRules,
  type Turn,
  type Unchanged,
  type Written,
} from '../../src/actors/vnode.ts';
import { actorsPerKeyMax, opMemoMax, recordBytesMax, siblingsMax } from '../../src/limits.ts';
import { bytes, grave, read, setOf, sibling, text } from './records.ts';

const rules: StoreRules = { valueBytesMax: 1_000, siblings: true, alone: true };
const lww: StoreRules = { ...rules, siblings: false };
const cartKey = text('cart:1');

type Verdict = Written | Unchanged | Refused;

/** One key on one vnode, driven as the shell drives it: the record goes through bytes between any two requests. */
class Replica {
  current: Current;
  stamp: Stamp = beginning;
  now = 1_000;
  rules: StoreRules;
  actor: string;
  readonly memo = new OpMemo();

  constructor(actor = 'n1:3:a', use: StoreRules = rules) {
    this.actor = actor;
    this.rules = use;
  }

  put(value: string, more: Omit<PutRequest, 'value'> = {}): Verdict {
    return this.apply(
      put(this.current, { value: text(value), ...more, ...this.known(more.opId) }, this.turn()),
      more.opId,
    );
  }

  remove(more: { context?: Context; opId?: string } = {}): Verdict {
    return this.apply(remove(this.current, { ...more, ...this.known(more.opId) }, this.turn()), more.opId);
  }

  merge(from: Replica): boolean {
    const merged = merge(this.current, from.set, this.rules);
    if (merged.type === 'refused') throw new Error(merged.message);
    this.current = merged.next;
    return merged.changed;
  }

  get set(): SiblingSet {
    return (this.current ?? new Map()) as SiblingSet;
  }

  get(): { values: string[]; tombstone: boolean; context: Context } {
    const view = viewOf(this.set, this.now);
    return { values: view.live.map(one => read(one.value)), tombstone: view.tombstone, context: contextOf(this.set) };
  }

  get clock(): Record<string, number> {
    return Object.fromEntries(join(this.set).upTo);
  }

  private turn(): Turn {
    return { actor: this.actor, now: this.now, stamp: this.stamp, rules: this.rules };
  }

  private known(opId: string | undefined): { doneAs?: NonNullable<PutRequest['doneAs']> } {
    const dot = opId === undefined ? undefined : this.memo.dotOf('carts', cartKey, opId);
    return dot === undefined ? {} : { doneAs: dot };
  }

  private apply(verdict: Verdict, opId: string | undefined): Verdict {
    if (verdict.type !== 'write') return verdict;
    this.current = decodeSet(encodeSet(verdict.next));
    this.stamp = verdict.stamp;
    if (opId !== undefined) this.memo.remember('carts', cartKey, opId, verdict.dot);
    return verdict;
  }
}

const contextIn = (verdict: Verdict): Context => {
  if (verdict.type === 'refused') throw new Error(verdict.message);
  return verdict.context;
};

describe('put and get', () => {
  it('counts each write of the key, and a write with the context of the last replaces it (A-69, A-70)', () => {
    const key = new Replica();
    const d1 = key.put('D1');
    expect(key.clock).toEqual({ 'n1:3:a': 1 });
    key.put('D2', { context: contextIn(d1) });
    expect(key.clock).toEqual({ 'n1:3:a': 2 });
    expect(key.get()).toMatchObject({ values: ['D2'], tombstone: false });
  });

  it('keeps a blind write beside the value that was there, the newest first (A-84)', () => {
    const key = new Replica();
    key.put('first');
    key.put('second');
    expect(key.get().values).toEqual(['second', 'first']);
    key.put('both', { context: key.get().context });
    expect(key.get().values).toEqual(['both']);
  });

  it('keeps a write whose empty context says that there was nothing', () => {
    const key = new Replica();
    const { context } = key.get();
    key.put('first', { context });
    key.put('second', { context });
    expect(key.get().values).toEqual(['second', 'first']);
  });

  it('a write with the context of its own last write spares the sibling nobody has read', () => {
    const key = new Replica();
    key.put('book');
    const pen = key.put('pen');
    key.put('two pens', { context: contextIn(pen) });
    expect(key.get().values).toEqual(['two pens', 'book']);
  });

  it('alternating clients with their own contexts leave two siblings and a counter of 12 (A-80)', () => {
    const key = new Replica();
    const held: (Context | undefined)[] = [undefined, undefined];
    for (let i = 0; i < 12; i++) held[i % 2] = contextIn(key.put(`v${i}`, { context: held[i % 2] }));
    expect(key.get().values).toEqual(['v11', 'v10']);
    expect(key.clock).toEqual({ 'n1:3:a': 12 });
  });

  it('with ifNoneMatch is refused while there is a value, and replaces a tombstone', () => {
    const key = new Replica();
    expect(key.put('first', { ifNoneMatch: true }).type).toBe('write');
    expect(key.put('second', { ifNoneMatch: true })).toMatchObject({ type: 'refused', code: 'EXISTS' });
    expect(key.get().values).toEqual(['first']);
    key.remove();
    key.put('third', { ifNoneMatch: true });
    expect(key.get()).toMatchObject({ values: ['third'], tombstone: false });
  });

  it('refuses a value that is too large, by one byte', () => {
    const key = new Replica();
    expect(key.put('x'.repeat(1_000)).type).toBe('write');
    expect(key.put('x'.repeat(1_001))).toMatchObject({ code: 'TOO_LARGE', details: { bytes: 1_001, bytesMax: 1_000 } });
  });

  it('refuses a context that names a write which was never made, and does not advance the clock (S15)', () => {
    const key = new Replica();
    key.put('v');
    const forged: Context = { seen: { upTo: new Map([['n1:3:a', 99]]), except: new Map() }, stamp: beginning };
    expect(key.put('w', { context: forged })).toMatchObject({ type: 'refused', code: 'BAD_CONTEXT' });
    expect(key.remove({ context: forged })).toMatchObject({ type: 'refused', code: 'BAD_CONTEXT' });
    expect(key.clock).toEqual({ 'n1:3:a': 1 });
  });

  it('does not let an actor that a context invents into the clock of a store with one replica', () => {
    const key = new Replica();
    key.put('v');
    const invented: Context = { seen: { upTo: new Map([['n9:3:z', 7]]), except: new Map() }, stamp: beginning };
    key.put('w', { context: invented });
    expect(key.clock).toEqual({ 'n1:3:a': 2 });
  });
});

describe('delete', () => {
  it('leaves nothing to find but a context, with which a new value stands alone (A-194)', () => {
    const key = new Replica();
    const first = key.put('v');
    const deleted = key.remove({ context: contextIn(first) });
    expect(deleted.type).toBe('write');
    expect(key.get()).toMatchObject({ values: [], tombstone: true });
    key.put('again', { context: key.get().context });
    expect(key.get()).toMatchObject({ values: ['again'], tombstone: false });
    expect(key.clock).toEqual({ 'n1:3:a': 3 });
  });

  it('concurrent with a put leaves the value and a flag, whichever came first (A-196)', () => {
    for (const deleteFirst of [true, false]) {
      const key = new Replica();
      const context = contextIn(key.put('old'));
      if (deleteFirst) key.remove({ context });
      key.put('new', { context });
      if (!deleteFirst) key.remove({ context });
      expect(key.get()).toMatchObject({ values: ['new'], tombstone: true });
    }
  });

  it('without a context deletes all siblings there are', () => {
    const key = new Replica();
    key.put('a');
    key.put('b');
    key.remove();
    expect(key.get()).toMatchObject({ values: [], tombstone: true });
    expect(size(key.set)).toBe(1);
  });

  it('of what is not there, or is deleted already, writes nothing', () => {
    const key = new Replica();
    expect(key.remove()).toMatchObject({ type: 'unchanged', why: 'nothing-to-delete' });
    expect(key.current).toBeUndefined();
    key.put('v');
    key.remove();
    const before = key.clock;
    expect(key.remove().type).toBe('unchanged');
    expect(key.remove({ context: key.get().context }).type).toBe('unchanged');
    expect(key.clock).toEqual(before);
  });

  it('of what only another replica holds does write a tombstone', () => {
    const many = { ...rules, alone: false };
    const [here, there] = [new Replica('n1:3:a', many), new Replica('n2:3:b', many)];
    there.put('v');
    expect(here.remove({ context: there.get().context }).type).toBe('write');
    there.merge(here);
    expect(there.get()).toMatchObject({ values: [], tombstone: true });
  });

  it('then a blind put: the new value is alone, since its writer has seen nothing to be concurrent with', () => {
    const key = new Replica();
    key.put('v');
    key.remove();
    key.put('again');
    expect(key.get()).toMatchObject({ values: ['again'], tombstone: false });
  });
});

describe('time to live', () => {
  it('a value is there until its time, then reads as deleted and keeps its context', () => {
    const key = new Replica();
    key.put('v', { ttlMs: 50 });
    key.now = 1_049;
    expect(key.get().values).toEqual(['v']);
    key.now = 1_050;
    expect(key.get()).toMatchObject({ values: [], tombstone: true });
    key.put('w', { context: key.get().context });
    expect(key.get()).toMatchObject({ values: ['w'], tombstone: false });
  });

  it('what has expired does not stand in the way of a blind or a conditional put', () => {
    for (const ifNoneMatch of [true, false]) {
      const key = new Replica();
      key.put('v', { ttlMs: 50 });
      key.now = 2_000;
      key.put('w', { ifNoneMatch });
      expect(key.get()).toMatchObject({ values: ['w'], tombstone: false });
    }
  });

  it('is the same moment on every replica, however late the value arrives (W3)', () => {
    const [a, b] = [new Replica('a'), new Replica('b')];
    a.put('v', { ttlMs: 50 });
    b.now = 1_200;
    b.merge(a);
    expect(b.get().values).toEqual([]);
    expect(b.set).toEqual(a.set);
  });
});

describe('a request that comes twice (A-83)', () => {
  it('gives one value and no sibling, and another id may give a sibling', () => {
    const key = new Replica();
    const first = key.put('v', { opId: 'r-1' });
    const retry = key.put('v', { opId: 'r-1' });
    expect(retry).toMatchObject({ type: 'unchanged', why: 'repeated' });
    expect(contextIn(retry)).toEqual(contextIn(first));
    expect(key.clock).toEqual({ 'n1:3:a': 1 });
    key.put('v', { opId: 'r-2' });
    expect(key.get().values).toEqual(['v', 'v']);
  });

  it('is recognised by the record when the vnode has forgotten, under a new epoch too', () => {
    const key = new Replica();
    key.put('v', { opId: 'r-1' });
    const restarted = new Replica('n1:3:b');
    restarted.current = key.current;
    expect(restarted.put('v', { opId: 'r-1' }).type).toBe('unchanged');
    expect(restarted.get().values).toEqual(['v']);
  });

  it('is recognised by the memo when its value has been replaced, and does not bring it back', () => {
    const key = new Replica();
    const first = key.put('v', { opId: 'r-1' });
    key.put('w', { context: contextIn(first) });
    expect(key.put('v', { opId: 'r-1' }).type).toBe('unchanged');
    expect(key.get().values).toEqual(['w']);
  });

  it('answers ifNoneMatch as it did the first time', () => {
    const key = new Replica();
    key.put('v', { opId: 'r-1', ifNoneMatch: true });
    expect(key.put('v', { opId: 'r-1', ifNoneMatch: true }).type).toBe('unchanged');
  });

  it('deletes once', () => {
    const key = new Replica();
    key.put('v');
    key.remove({ opId: 'd-1' });
    key.put('w');
    expect(key.remove({ opId: 'd-1' })).toMatchObject({ type: 'unchanged', why: 'repeated' });
    expect(key.get().values).toEqual(['w']);
  });

  it('the context of the retry does not cover siblings its client was never shown', () => {
    const key = new Replica();
    key.put('v', { opId: 'r-1' });
    key.put('other');
    const retry = key.put('v', { opId: 'r-1' });
    key.put('mine', { context: contextIn(retry) });
    expect(key.get().values).toEqual(['mine', 'other']);
  });

  it('is done when the memo names a write that the record has never seen', () => {
    const turn: Turn = { actor: 'a', now: 1, stamp: beginning, rules };
    const request = { value: text('v'), opId: 'r-1', doneAs: { actor: 'a', counter: 1 } };
    expect(put(undefined, request, turn).type).toBe('write');
  });

  it('is not mistaken for the same id on another key or store, and is forgotten when its write was refused', () => {
    const memo = new OpMemo();
    const dot = { actor: 'a', counter: 1 };
    memo.remember('carts', text('k'), 'r-1', dot);
    expect(memo.dotOf('carts', text('k'), 'r-1')).toBe(dot);
    expect(memo.dotOf('carts', text('l'), 'r-1')).toBeUndefined();
    expect(memo.dotOf('orders', text('k'), 'r-1')).toBeUndefined();
    memo.forget('carts', text('k'), 'r-1');
    expect(memo.dotOf('carts', text('k'), 'r-1')).toBeUndefined();
  });

  it('is remembered among the last thousand', () => {
    const memo = new OpMemo();
    for (let i = 0; i <= opMemoMax; i++) memo.remember('s', text('k'), `r-${i}`, { actor: 'a', counter: i });
    expect(memo.size).toBe(opMemoMax);
    expect(memo.dotOf('s', text('k'), 'r-0')).toBeUndefined();
    expect(memo.dotOf('s', text('k'), 'r-1')).toEqual({ actor: 'a', counter: 1 });
  });
});

describe('siblings', () => {
  it('the 101st is refused, and the hundred before it can be read and resolved (A-87)', () => {
    const key = new Replica();
    for (let i = 0; i < siblingsMax; i++) expect(key.put(`v${i}`)).toMatchObject({ type: 'write', siblings: i + 1 });
    expect(key.put('one more')).toMatchObject({
      code: 'TOO_MANY_SIBLINGS',
      details: { siblings: 100, siblingsMax: 100 },
    });
    expect(key.get().values).toHaveLength(siblingsMax);
    key.put('resolved', { context: key.get().context });
    expect(key.get().values).toEqual(['resolved']);
  });

  it('are bounded in bytes as well, so that a record always fits into one answer', () => {
    const key = new Replica('a', { ...rules, valueBytesMax: 1 << 20 });
    const value = 'x'.repeat(1 << 20);
    let written = 0;
    while (key.put(value).type === 'write') written++;
    expect(written).toBe(Math.floor(recordBytesMax / value.length) - 1);
    expect(key.put(value)).toMatchObject({ code: 'TOO_MANY_SIBLINGS' });
  });

  it('beyond the bound, as a merge may leave them, can still be resolved in steps', () => {
    const many = { ...rules, alone: false };
    const [a, b] = [new Replica('a', many), new Replica('b', many)];
    const contexts = Array.from({ length: 60 }, (_, i) => contextIn(a.put(`a${i}`)));
    for (let i = 0; i < 60; i++) b.put(`b${i}`);
    a.merge(b);
    expect(a.get().values).toHaveLength(120);
    expect(a.put('blind')).toMatchObject({ code: 'TOO_MANY_SIBLINGS' });
    expect(a.put('step', { context: contexts[0] as Context }).type).toBe('write');
    expect(a.get().values).toHaveLength(120);
  });
});

describe('merge', () => {
  it('of what is known changes nothing and makes no dot (A-82)', () => {
    const [a, b] = [new Replica('a'), new Replica('b')];
    a.put('v');
    expect(b.merge(a)).toBe(true);
    expect(b.merge(a)).toBe(false);
    expect(a.merge(b)).toBe(false);
    expect(b.clock).toEqual({ a: 1 });
  });

  it('replays the seed: two sides of a cut, both values, one resolution (A-71 to A-74)', () => {
    const many = { ...rules, alone: false };
    const [x, y, z] = [new Replica('Sx', many), new Replica('Sy', many), new Replica('Sz', many)];
    const d1 = contextIn(x.put('D1'));
    const d2 = contextIn(x.put('D2', { context: d1 }));
    y.merge(x);
    z.merge(x);
    y.put('D3', { context: d2 });
    z.put('D4', { context: d2 });
    expect(y.clock).toEqual({ Sx: 2, Sy: 1 });
    expect(z.clock).toEqual({ Sx: 2, Sz: 1 });
    x.merge(y);
    x.merge(z);
    expect(x.get().values.sort()).toEqual(['D3', 'D4']);
    x.put('D5', { context: x.get().context });
    expect(x.clock).toEqual({ Sx: 3, Sy: 1, Sz: 1 });
    expect(x.get().values).toEqual(['D5']);
  });

  it('never prunes, whatever came together (A-93)', () => {
    const crowd = Array.from({ length: 80 }, (_, i): [string, number, []] => [`n${i}:3:a`, 1, []]);
    const merged = merge(setOf(...crowd.slice(0, 40)), setOf(...crowd.slice(40)), rules);
    expect(merged).toMatchObject({ changed: true });
    expect(merged.type === 'merged' && merged.next.size).toBe(80);
  });
});

describe('last writer wins', () => {
  const many = { ...lww, alone: false };

  it('a blind put replaces what was there, and counts nothing as lost', () => {
    const key = new Replica('a', lww);
    key.put('v');
    expect(key.put('w')).toMatchObject({ type: 'write', siblings: 1, lost: 0 });
    expect(key.get().values).toEqual(['w']);
  });

  it('keeps the later stamp on both replicas and counts what it dropped (A-97)', () => {
    const [a, b] = [new Replica('a', many), new Replica('b', many)];
    a.now = 100;
    b.now = 90;
    a.put('late');
    b.put('early');
    expect(merge(a.set, b.set, many)).toMatchObject({ lost: 1, changed: true });
    expect(merge(b.set, a.set, many)).toMatchObject({ lost: 1, changed: true });
    a.merge(b);
    b.merge(a);
    expect([a.get().values, b.get().values]).toEqual([['late'], ['late']]);
    expect(sameSet(a.set, b.set)).toBe(true);
  });

  it('decides a tie the same way everywhere (A-98)', () => {
    const [a, b] = [new Replica('a', many), new Replica('b', many)];
    a.put('from a');
    b.put('from b');
    const other = new Replica('c', many);
    other.merge(b);
    other.merge(a);
    a.merge(b);
    expect(a.get().values).toEqual(['from b']);
    expect(other.get().values).toEqual(['from b']);
  });

  it('loses no read-modify-write of a client that alternates between clocks a second apart (A-99)', () => {
    const [ahead, behind] = [new Replica('a', many), new Replica('b', many)];
    ahead.now = 2_000;
    let context: Context | undefined;
    for (let i = 0; i < 1_000; i++) {
      const at = i % 2 === 0 ? ahead : behind;
      const from = i % 2 === 0 ? behind : ahead;
      at.merge(from);
      const before = Number(at.get().values[0] ?? 0);
      context = contextIn(at.put(String(before + 1), { context }));
      ahead.now++;
      behind.now++;
    }
    behind.merge(ahead);
    expect(behind.get().values).toEqual(['1000']);
  });

  it('stamps a write after what its context has seen, though the replica has not (the winners would differ)', () => {
    const [ahead, behind] = [new Replica('a', many), new Replica('b', many)];
    ahead.now = 1_400;
    const seen = contextIn(ahead.put('old'));
    behind.put('new', { context: seen });
    ahead.merge(behind);
    behind.merge(ahead);
    expect(ahead.get().values).toEqual(['new']);
    expect(behind.get().values).toEqual(['new']);
  });

  it('a delete beats what it is later than', () => {
    const key = new Replica('a', lww);
    key.put('v');
    key.remove();
    expect(key.get()).toMatchObject({ values: [], tombstone: true });
    key.put('w');
    expect(key.get()).toMatchObject({ values: ['w'], tombstone: false });
  });

  it('replicas agree after any history, in whatever order they meet', () => {
    const step = fc.record({
      at: fc.nat(2),
      from: fc.nat(2),
      what: fc.constantFrom('put', 'put-with-context', 'remove', 'merge'),
      passes: fc.nat(30),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.boolean(), (steps, forwards) => {
        const all = ['a', 'b', 'c'].map(actor => new Replica(actor, many));
        let context: Context | undefined;
        let written = 0;
        for (const { at, from, what, passes } of steps) {
          const replica = all[at] as Replica;
          replica.now += passes;
          if (what === 'merge') replica.merge(all[from] as Replica);
          else if (what === 'remove') replica.remove();
          else context = contextIn(replica.put(`v${written++}`, what === 'put' ? {} : { context }));
        }
        const once = (list: Replica[]) =>
          list.reduce((set, r) => lastWriter(mergedOf(set, r.set)), new Map() as SiblingSet);
        const mergedOf = (a: SiblingSet, b: SiblingSet) => (merge(a, b, many) as { next: SiblingSet }).next;
        const one = once(forwards ? all : all.toReversed());
        const other = once([all[1], all[0], all[2], all[1]] as Replica[]);
        expect(encodeSet(one)).toEqual(encodeSet(other));
        expect(size(one)).toBeLessThanOrEqual(1);
      }),
      { seed: 97, numRuns: 300 },
    );
  });
});

describe('a record that cannot be read', () => {
  const broken: Current = { corrupt: 'value: cut off' };
  const turn: Turn = { actor: 'a', now: 1, stamp: beginning, rules };

  it('is an error for every request and never counts as absent (riak_kv #679)', () => {
    expect(put(broken, { value: text('v') }, turn)).toMatchObject({ type: 'refused', code: 'CORRUPT' });
    expect(put(broken, { value: text('v'), ifNoneMatch: true }, turn)).toMatchObject({ code: 'CORRUPT' });
    expect(remove(broken, {}, turn)).toMatchObject({ code: 'CORRUPT' });
    expect(merge(broken, setOf(['b', 1, [[1, sibling('x')]]]), rules)).toMatchObject({ code: 'CORRUPT' });
  });
});

describe('actor ids', () => {
  it('a vnode never opens with an epoch it had before, also when the clock went back or the disk was lost', () => {
    expect(freshEpoch(undefined, 1_763_000_000_000.4)).toBe(1_763_000_000_000);
    expect(freshEpoch(1_763_000_000_000, 1_763_000_000_001)).toBe(1_763_000_000_001);
    expect(freshEpoch(1_763_000_000_000, 5)).toBe(1_763_000_000_001);
    expect(actorIdOf('n1', 33, 1_763_000_000_000)).toBe('n1:33:mhwsoi68');
  });

  it('are printable and bounded', () => {
    expect(() => actorIdOf('ключ', 0, 1)).toThrow(/printable/);
    expect(() => actorIdOf('n'.repeat(64), 0, 1)).toThrow(/at most 64/);
    expect(actorIdOf('n'.repeat(32), 65_535, Number.MAX_SAFE_INTEGER).length).toBeLessThanOrEqual(64);
  });

  it('after amnesia a write goes on under a new actor, and the old context does no harm (A-95)', () => {
    const key = new Replica('n1:3:a');
    key.put('v1');
    const context = contextIn(key.put('v2', { context: key.get().context }));
    const wiped = new Replica('n1:3:b');
    wiped.put('v3', { context });
    expect(wiped.get().values).toEqual(['v3']);
    expect(wiped.clock).toEqual({ 'n1:3:b': 1 });
  });

  it('of long ago leave the clock of a store with one replica, unless they hold a value', () => {
    const old = Array.from({ length: 60 }, (_, i): [string, number, [number, Sibling][]] => [
      `n1:3:${String(i).padStart(4, '0')}`,
      3,
      i === 0 ? [[2, sibling('kept')]] : [],
    ]);
    const key = new Replica('n1:3:zzzz');
    key.current = setOf(...old);
    key.put('new');
    expect(key.set.size).toBe(actorsPerKeyMax);
    expect(key.get().values).toEqual(['new', 'kept']);
    expect(key.set.has('n1:3:0059')).toBe(true);
    expect(key.set.has('n1:3:0001')).toBe(false);
    expect(merge(key.set, setOf(), { ...rules, alone: false })).toMatchObject({ changed: false });
  });

  it('are not pruned where other replicas would keep them (W10)', () => {
    const key = new Replica('n1:3:zzzz', { ...rules, alone: false });
    key.current = setOf(...Array.from({ length: 60 }, (_, i): [string, number, []] => [`n1:3:${i}`, 3, []]));
    key.put('new');
    expect(key.set.size).toBe(61);
  });
});

it('opaque means opaque: a value of all 256 bytes comes back as it was', () => {
  const all = bytes(...Array.from({ length: 256 }, (_, i) => i));
  const written = put(undefined, { value: all }, { actor: 'a', now: 1, stamp: beginning, rules });
  const stored = decodeSet(encodeSet((written as Written).next)) as SiblingSet;
  expect(viewOf(stored, 2).live[0]?.value).toEqual(all);
  expect(viewOf(setOf(['a', 1, [[1, grave()]]]), 2)).toEqual({ live: [], tombstone: true });
});
