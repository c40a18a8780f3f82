// Ordered streams as one, and the tables of keys they walk through, against the obvious.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Memtable } from '../../src/storage/memtable.ts';
import { Newest, type Stream } from '../../src/storage/newest.ts';

const keyOf = (name: string) => Uint8Array.from(name, letter => letter.charCodeAt(0));

interface Version {
  readonly name: string;
  readonly lsn: number;
  readonly deleted: boolean;
}

class ListStream implements Stream {
  ended = false;
  private at = 0;
  private readonly list: readonly Version[];

  constructor(list: readonly Version[]) {
    this.list = list;
  }
  get name(): string | undefined {
    return this.ended ? undefined : this.list[this.at]?.name;
  }
  get rank(): number {
    return (this.list[this.at] as Version).lsn;
  }
  take(): Uint8Array | undefined {
    const { deleted, lsn } = this.list[this.at] as Version;
    return deleted ? undefined : Uint8Array.of(lsn);
  }
  advance(): void {
    this.at++;
  }
  end(): void {
    this.ended = true;
  }
}

describe('several streams as one', () => {
  it('show of each key the version with the highest lsn, in order, and no deletions', () => {
    const names = fc.constantFrom('', 'a', 'b', 'c', 'd', '\u00ff');
    fc.assert(
      fc.property(fc.array(fc.array(fc.tuple(names, fc.boolean()), { maxLength: 8 }), { maxLength: 5 }), lists => {
        let lsn = 0;
        const newest = new Map<string, Version>();
        const streams = lists.map(list => {
          const own = new Map<string, Version>();
          for (const [name, deleted] of list) {
            const version = { name, deleted, lsn: lsn++ };
            own.set(name, version);
            newest.set(name, version);
          }
          return new ListStream([...own.values()].sort((a, b) => (a.name < b.name ? -1 : 1)));
        });
        const wanted = [...newest.values()]
          .filter(({ deleted }) => !deleted)
          .sort((a, b) => (a.name < b.name ? -1 : 1));
        // Whatever the order of the streams.
        for (const order of [streams, streams.toReversed()]) {
          for (const stream of order) Object.assign(stream, { at: 0, ended: false });
          const shown = [...new Newest(order, keyOf)].map(({ key, bytes }) => [String.fromCharCode(...key), bytes[0]]);
          expect(shown).toEqual(wanted.map(version => [version.name, version.lsn]));
          expect(order.every(({ ended }) => ended)).toBe(true);
        }
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  it('are all ended when the walk is broken off', () => {
    const streams = ['a', 'b'].map(name => new ListStream([{ name, lsn: 1, deleted: false }]));
    for (const _ of new Newest(streams, keyOf)) break;
    expect(streams.map(({ ended }) => ended)).toEqual([true, true]);
  });
});

describe('a table of keys', () => {
  const walked = (walk: ReturnType<Memtable['walk']>) => {
    const found: [string, number][] = [];
    for (let name = walk.next(); name !== undefined; name = walk.next()) found.push([name, walk.placeOf(name)]);
    return found;
  };

  it('is walked as it was when the walk began, whatever is set meanwhile', () => {
    const step = fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), walk: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        const table = new Memtable();
        const model = new Map<string, number>();
        const walks: { walk: ReturnType<Memtable['walk']>; wanted: [string, number][] }[] = [];
        for (const [place, { name, walk }] of steps.entries()) {
          if (walk) {
            const wanted = [...model].filter(([key]) => key >= 'b' && key < 'f').sort(([a], [b]) => (a < b ? -1 : 1));
            walks.push({ walk: table.walk('b', 'f'), wanted });
          }
          table.set(name, place);
          model.set(name, place);
        }
        for (const { walk, wanted } of walks) expect(walked(walk)).toEqual(wanted);
        expect(walked(table.walk(undefined, undefined))).toEqual([...model].sort(([a], [b]) => (a < b ? -1 : 1)));
      }),
      { seed: 4, numRuns: 300 },
    );
  });
});
