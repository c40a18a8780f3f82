import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Keyed, ScanMerge } from '../../src/actors/scan-merge.ts';
import { compareKeys } from '../../src/storage/key.ts';
import { bytes, read, text } from './records.ts';

const item = (name: string): Keyed => ({ key: text(name) });
const page = (names: string): Keyed[] => [...names].map(item);

/** Everything the merge has to give, fed from lists cut into pages. */
function drain(lists: readonly (readonly Keyed[])[], pageItems: number): Uint8Array[] {
  const merge = new ScanMerge(lists.length);
  const at = lists.map(() => 0);
  const out: Uint8Array[] = [];
  for (;;) {
    const next = merge.next();
    if (next.type === 'end') return out;
    if (next.type === 'item') {
      out.push(next.item.key);
      continue;
    }
    for (const source of merge.wants()) {
      const list = lists[source] as readonly Keyed[];
      const from = at[source] as number;
      at[source] = from + pageItems;
      merge.feed(source, list.slice(from, from + pageItems), from + pageItems >= list.length);
    }
  }
}

describe('merging the pages of many partitions', () => {
  it('gives out all keys in ascending order, whatever the pages', () => {
    const keys = fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 3 }), {
      maxLength: 60,
      selector: key => key.join(),
    });
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 7 }), (all, sources, pageItems) => {
        const sorted = all.toSorted(compareKeys);
        const lists = Array.from({ length: sources }, (_, source) =>
          sorted.filter((_, i) => (i * 7 + 3) % sources === source).map(key => ({ key })),
        );
        expect(drain(lists, pageItems)).toEqual(sorted);
      }),
      { seed: 64, numRuns: 300 },
    );
  });

  it('says nothing before every source has said what comes next there', () => {
    const merge = new ScanMerge(2);
    expect(merge.wants()).toEqual([0, 1]);
    merge.feed(0, page('bd'), false);
    expect(merge.next()).toEqual({ type: 'starved' });
    merge.feed(1, page('ac'), true);
    expect(['a', 'b', 'c', 'd'].map(() => merge.next())).toMatchObject(
      ['a', 'b', 'c', 'd'].map(name => ({ type: 'item', item: item(name) })),
    );
    // Source 0 may still have an 'e'.
    expect(merge.next()).toEqual({ type: 'starved' });
    expect(merge.wants()).toEqual([0]);
    merge.feed(0, [], false);
    expect(merge.wants()).toEqual([0]);
    merge.feed(0, [], true);
    expect(merge.next()).toEqual({ type: 'end' });
    expect(merge.next()).toEqual({ type: 'end' });
  });

  it('tells which source an item came from, so that its next page can be asked for in time', () => {
    const merge = new ScanMerge(3);
    for (const [source, names] of ['c', 'a', 'b'].entries()) merge.feed(source, page(names), true);
    expect([0, 1, 2].map(() => (merge.next() as { from: number }).from)).toEqual([1, 2, 0]);
  });

  it('refuses a page for a source that has one', () => {
    const merge = new ScanMerge(1);
    merge.feed(0, page('a'), false);
    expect(() => merge.feed(0, page('b'), true)).toThrow(/still has a page/);
  });

  it('of nothing is over at once', () => {
    expect(new ScanMerge(0).next()).toEqual({ type: 'end' });
    expect(read(bytes(...text('ok')))).toBe('ok');
  });
});
