// The parts of the tour that decide whether something held: shown trouble, each of them must say so.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { check, emptyTally, invented, troublesOf } from '../../src/doors/tour/check.ts';
import { type City, cityOf, findCities, keyOf, NoCities, numberOf, readCities } from '../../src/doors/tour/cities.ts';
import { freePorts } from '../../src/doors/tour/free-ports.ts';
import {
  type HandedOn,
  handoverInWords,
  handoverOf,
  ringStrip,
  rowsInWords,
  wrongHands,
} from '../../src/doors/tour/handover.ts';
import { makeHome } from '../../src/doors/tour/home.ts';
import { inFlight } from '../../src/doors/tour/in-flight.ts';
import { checkByKey, checkByScan, putAll, wrongCount } from '../../src/doors/tour/load.ts';
import { compare } from '../../src/doors/tour/move.ts';
import { type Allowed, Overwriting } from '../../src/doors/tour/overwriting.ts';
import { arrived, judge, type Runs } from '../../src/doors/tour/runs.ts';
import { readTourOptions } from '../../src/doors/tour/tour-options.ts';
import { grouped, silentView, table, viewOn } from '../../src/doors/tour/view.ts';
import { UsageError } from '../../src/doors/usage.ts';
import { type Store, startNode, TroupeError } from '../../src/index.ts';

const never = new AbortController().signal;

function written(...numbers: number[]): Runs {
  const runs: Runs = [];
  for (const n of numbers) arrived(runs, n);
  return runs;
}

describe('a book of runs', () => {
  it.each([
    { came: [0, 1, 2, 3], sent: 4, says: { lost: 0, doubled: 0, reordered: 0, invented: 0 } },
    { came: [], sent: 2, says: { lost: 2, doubled: 0, reordered: 0, invented: 0 } },
    { came: [0, 1, 3], sent: 4, says: { lost: 1, doubled: 0, reordered: 0, invented: 0 } },
    { came: [0, 1], sent: 4, says: { lost: 2, doubled: 0, reordered: 0, invented: 0 } },
    { came: [0, 1, 1, 2], sent: 3, says: { lost: 0, doubled: 1, reordered: 0, invented: 0 } },
    { came: [0, 2, 1, 3], sent: 4, says: { lost: 0, doubled: 0, reordered: 1, invented: 0 } },
    { came: [0, 1, 2], sent: 2, says: { lost: 0, doubled: 0, reordered: 0, invented: 1 } },
  ])('of $came, $sent sent, says $says', ({ came, sent, says }) => {
    expect(judge(written(...came), sent)).toEqual({ received: came.length, ...says });
  });

  it('holds one run however many messages came in order', () => {
    expect(written(...Array.from({ length: 10_000 }, (_, n) => n))).toEqual([[0, 9_999]]);
  });

  it('counts what the most obvious count counts, whatever came', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(12), { maxLength: 40 }), fc.nat(12), (came, sent) => {
        const own = came.filter(n => n < sent);
        const verdict = judge(written(...came), sent);
        expect(verdict.received).toBe(came.length);
        expect(verdict.invented).toBe(came.length - own.length);
        expect(verdict.lost).toBe(sent - new Set(own).size);
        expect(verdict.doubled).toBe(own.length - new Set(own).size);
        const first = came.filter((n, at) => n < sent && came.indexOf(n) === at && came.slice(0, at).some(m => m > n));
        expect(verdict.reordered).toBe(first.length);
      }),
      { seed: 4, numRuns: 500 },
    );
  });
});

describe('what the moves are judged by', () => {
  it('is silent when every sender has one whole run', () => {
    const problems: string[] = [];
    const books = new Map([['a', written(0, 1, 2)]]);
    expect(compare(books, new Map([['a', 3]]), problems)).toEqual({ lost: 0, doubled: 0, reordered: 0 });
    expect(problems).toEqual([]);
  });

  it('names the sender that lost, doubled or overtook a message, or that nobody knows', () => {
    const problems: string[] = [];
    const books = new Map([
      ['lost', written(0, 2)],
      ['doubled', written(0, 1, 1)],
      ['overtaken', written(1, 0)],
      ['forged', written(0, 1, 2)],
      ['stranger', written(0)],
    ]);
    const sent = new Map([
      ['lost', 3],
      ['doubled', 2],
      ['overtaken', 2],
      ['forged', 2],
      ['silent', 1],
    ]);
    expect(compare(books, sent, problems)).toEqual({ lost: 2, doubled: 1, reordered: 1 });
    expect(problems.map(problem => problem.split(' ')[0])).toEqual([
      'lost',
      'doubled',
      'overtaken',
      'forged',
      'silent',
      'stranger',
    ]);
  });
});

describe('a tally', () => {
  const city = { name: 'Vila', country: 'AD' };

  it.each([
    { trouble: 'a missing record', values: [], says: /1 missing/ },
    { trouble: 'a changed letter', values: [{ ...city, name: 'Vilo' }], says: /1 different.*Vilo/ },
    { trouble: 'a field too many', values: [{ ...city, lat: '1' }], says: /1 different/ },
    { trouble: 'two values', values: [city, city], says: /1 doubled/ },
  ])('reports $trouble', ({ values, says }) => {
    const tally = emptyTally();
    check(tally, 'AD/0', city, [city]);
    check(tally, 'AD/1', city, values);
    expect(troublesOf('reading', tally, 2).join()).toMatch(says);
  });

  it('reports records nobody wrote, and a check that looked at too few', () => {
    const tally = emptyTally();
    check(tally, 'AD/0', city, [{ ...city }]);
    expect(troublesOf('reading', tally, 1)).toEqual([]);
    expect(troublesOf('reading', tally, 2)).toEqual(['reading: 1 records instead of 2']);
    invented(tally, 'ZZ/9');
    expect(troublesOf('reading', tally, 2).join()).toMatch(/1 never written of 2 \(ZZ\/9 was never written\)/);
  });
});

describe('reading back from a store', () => {
  const cities: City[] = Array.from({ length: 50 }, (_, n) => ({
    name: `city ${n}`,
    lat: `${n}`,
    lng: '0',
    country: n % 2 ? 'FR' : 'AD',
    admin1: '',
    admin2: '',
  }));
  const numbers = cities.map((_, n) => n);

  it('finds nothing in a store that holds what was written, and every planted trouble in one that does not', async () => {
    await using node = await startNode({ threads: 0 });
    const store = await node.store('cities');
    const work = { store, cities, view: silentView, signal: never };
    await putAll(work);
    expect((await checkByKey(work, 'read', numbers)).problems).toEqual([]);
    const clean = await checkByScan(work, 'scan', 50);
    expect([clean.problems, clean.found, wrongCount('scan', clean.found, 50)]).toEqual([[], 50, []]);

    const changed = await store.get(keyOf(cities, 3));
    await store.put(keyOf(cities, 3), { ...cityOf(cities, 3), lat: '99' }, { context: changed.context });
    await store.delete(keyOf(cities, 4));
    await store.put(keyOf(cities, 5), cityOf(cities, 5));
    await store.put('nowhere', 'at all');
    const byKey = await checkByKey(work, 'read', numbers);
    expect([byKey.bad, byKey.problems.join()]).toEqual([3, expect.stringMatching(/1 missing, 1 different, 1 doubled/)]);
    const byScan = await checkByScan(work, 'scan', 50);
    expect(byScan.problems.join()).toMatch(/0 missing, 1 different, 1 doubled, 1 never written/);
    expect(byScan.met.has(4)).toBe(false);
    expect(wrongCount('scan', 49, 50)).toEqual(['scan: 49 records, written were 50']);
  });
});

describe('cities', () => {
  const cities = [
    { name: 'Vila', country: 'AD' },
    { name: 'Lyon', country: 'FR' },
  ] as City[];

  it('have keys that name their number, also beyond the end of the list', () => {
    expect([0, 1, 2, 3].map(n => keyOf(cities, n))).toEqual(['AD/0', 'FR/1', 'AD/2', 'FR/3']);
    expect(['AD/0', 'FR/3', 'FR/0', 'AD/x', '/0', 7].map(key => numberOf(cities, key))).toEqual([
      0,
      3,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('come from the npm package: more than 150,000, no two alike', () => {
    const all = readCities(findCities());
    expect(all.length).toBeGreaterThan(150_000);
    expect(new Set(all.map(city => JSON.stringify(city))).size).toBe(all.length);
  });

  it('are refused when the file holds something else', () => {
    const dir = mkdtempSync(join(tmpdir(), 'troupe-cities-'));
    for (const [content, says] of [
      ['{', /cannot be read/],
      ['[]', /holds no list/],
      ['{"a":1}', /holds no list/],
      ['[{"name":"x"}]', /entry 0/],
    ] as const) {
      writeFileSync(join(dir, 'c.json'), content);
      expect(() => readCities(join(dir, 'c.json'))).toThrow(says);
      expect(() => readCities(join(dir, 'c.json'))).toThrow(NoCities);
    }
    rmSync(dir, { recursive: true });
  });
});

describe('a city that is overwritten', () => {
  const cities = [
    { name: 'Vila', country: 'AD' },
    { name: 'Lyon', country: 'FR' },
  ] as City[];

  /** Overwrites each of the two a few times, in a store that does what is planted. */
  async function overwritten(plant: (put: number, key: string) => TroupeError | 'lost' | undefined) {
    const kept = new Map<unknown, unknown>(cities.map((city, n) => [keyOf(cities, n), city]));
    const overwriting = new Overwriting('n1', cities);
    let puts = 0;
    const store = {
      get: async (key: string) => ({ values: kept.has(key) ? [kept.get(key)] : [], context: 'seen' }),
      put: async (key: string, value: unknown, { context }: { context?: string }) => {
        expect(context).toBe('seen');
        if (++puts === 8) overwriting.hush();
        const trouble = plant(puts, key);
        if (trouble === undefined) kept.set(key, value);
        else if (trouble !== 'lost') throw trouble;
      },
    } as unknown as Store;
    const done = await overwriting.run(store, [0, 1]);
    const look = { store, cities, view: silentView, signal: never };
    return { done, read: (versions = done.versions) => checkByKey(look, 'reading', [0, 1], versions) };
  }

  it('is found as it was acknowledged last, and not as before', async () => {
    const { done, read } = await overwritten(() => undefined);
    expect(done).toMatchObject({ refused: {}, unknown: 0, problems: [] });
    expect(done.reads).toBe(done.writes);
    const [[, first = 0], [, second = 0]] = done.versions as unknown as [number[], number[]];
    expect(first + second).toBe(done.writes);
    expect((await read()).problems).toEqual([]);
    const stale = done.versions.map(([n, version = 0]): Allowed => [n, version - 1]);
    expect((await read(stale)).problems.join()).toMatch(/2 different/);
    expect((await read([])).bad).toBe(2);
  });

  it('is reported when a write was acknowledged and is not there', async () => {
    const { done, read } = await overwritten(put => (put === 3 ? 'lost' : undefined));
    expect([...done.problems, ...(await read()).problems].join()).toMatch(/1 different/);
  });

  it('stays what it was after a refusal, and may be either after a put without an answer', async () => {
    const refused = await overwritten(put => (put === 2 ? new TroupeError('OVERLOADED', 'full') : undefined));
    expect(refused.done).toMatchObject({ refused: { OVERLOADED: 1 }, unknown: 0, problems: [] });
    expect((await refused.read()).problems).toEqual([]);
    const last = await overwritten(put => (put >= 8 ? new TroupeError('UNKNOWN_OUTCOME', 'who knows') : undefined));
    expect(last.done.unknown).toBeGreaterThan(0);
    expect(last.done.problems).toEqual([]);
    expect(last.done.versions.some(allowed => allowed.length === 3)).toBe(true);
    expect((await last.read()).problems).toEqual([]);
  });
});

describe('partitions that change hands', () => {
  const left = (partition: number, pausedMs = 1): HandedOn => ({
    ...{ partition, to: 'n4', pausedMs },
    ...{ bytes: 1_000_000, records: 10, actors: 1 },
  });

  it('are those that were planned, each once, or it is said which are not', () => {
    expect(wrongHands([3, 5], [left(5), left(3)])).toEqual([]);
    expect(wrongHands([3, 5], [left(5), left(5), left(7)])).toEqual([
      'nobody has told that partition 3 has left',
      'partition 5 was handed on 2 times',
      'partition 7 was handed on unasked',
    ]);
  });

  it('are summed up', () => {
    const report = handoverOf([left(1, 10), left(2, 30)], 1, 2_000);
    expect(report).toMatchObject({ partitions: 2, bytes: 2e6, records: 20, actors: 2, stayed: 1, tookMs: 2_000 });
    expect(report.pause.maxMs).toBe(30);
    expect(handoverInWords(report)).toMatch(
      /^2 partitions \(20 records, 2.0 MB, 2 awake actors\) in 2.0 s;.* max 30 ms$/,
    );
    expect(rowsInWords([{ phase: 'frozen', bytes: 5e5 }, ...Array(2).fill({ phase: 'pending', bytes: 0 })])).toBe(
      'frozen 1, pending 2; 0.5 MB of them sent',
    );
    expect(ringStrip(['n1', 'n2', 'n3', 'n4', 'n1', 'n1', 'n1', 'n1', 'n2'])).toBe('12341111 2');
  });
});

describe('many requests in flight', () => {
  it('are never more than the window, and all of them are done once', async () => {
    let [now, most] = [0, 0];
    const done: number[] = [];
    const run = async (n: number): Promise<void> => {
      most = Math.max(most, ++now);
      await Promise.resolve();
      now--;
      done.push(n);
    };
    const timing = await inFlight({ count: 100, window: 7, signal: never, run });
    expect([most, timing.count, timing.latency.count]).toEqual([7, 100, 100]);
    expect(done.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  });

  it('stop at the first failure and reject with it', async () => {
    let begun = 0;
    const run = async (n: number): Promise<void> => {
      begun++;
      await Promise.resolve();
      if (n === 3) throw new Error('third');
    };
    await expect(inFlight({ count: 1_000, window: 2, signal: never, run })).rejects.toThrow('third');
    expect(begun).toBeLessThan(10);
  });

  it('stop when they are aborted', async () => {
    const stop = new AbortController();
    let begun = 0;
    const run = async (): Promise<void> => {
      if (++begun === 5) stop.abort(new Error('enough'));
    };
    await expect(inFlight({ count: 1_000, window: 1, signal: stop.signal, run })).rejects.toThrow('enough');
    expect(begun).toBe(5);
  });
});

describe('the view', () => {
  it('redraws one line on a terminal, at most ten times a second', () => {
    let now = 0;
    const wrote: string[] = [];
    const view = viewOn({ isTTY: true, columns: 60, write: text => wrote.push(text) }, () => now);
    view.step('Loading');
    for (now = 0; now <= 1_000; now += 10) view.progress(now, 1_000);
    view.held(true, 'all there');
    expect(wrote).toHaveLength(11);
    expect(wrote[4]?.startsWith(`\r\u001b[2K  Loading  [${'#'.repeat(15)}${'-'.repeat(15)}]`)).toBe(true);
    expect(wrote.every(text => text.length <= 60 + 5)).toBe(true);
    expect(wrote.at(-1)).toBe('\r\u001b[2K  ok  all there\n');
  });

  it('writes a plain line every few seconds elsewhere', () => {
    let now = 0;
    const wrote: string[] = [];
    const view = viewOn({ write: text => wrote.push(text) }, () => now);
    view.step('Loading');
    for (now = 0; now <= 12_000; now += 10) view.progress(now * 100, 1_200_000);
    view.held(false, 'some gone');
    expect(wrote).toEqual([
      '  Loading ...\n',
      `  Loading  [${'#'.repeat(13)}${'-'.repeat(17)}]  41 %   500,000 of 1,200,000   100,000/s\n`,
      `  Loading  [${'#'.repeat(25)}${'-'.repeat(5)}]  83 %   1,000,000 of 1,200,000   100,000/s\n`,
      '  NO  some gone\n',
    ]);
  });

  it('aligns a table and groups digits', () => {
    expect(
      table([
        ['', 'n'],
        ['put', '1,000'],
        ['scan', '2'],
      ]),
    ).toBe('             n\n  put    1,000\n  scan       2');
    expect([7, 999, 1_000, 1_234_567].map(grouped)).toEqual(['7', '999', '1,000', '1,234,567']);
  });
});

describe('the options of the tour', () => {
  it('are read as they are written', () => {
    expect(readTourOptions(['--quick', '--threads', '3', '--seed', '9', '--data-dir', 'x'])).toEqual({
      help: false,
      json: false,
      quick: true,
      dataDir: 'x',
      cities: undefined,
      threads: 3,
      seed: 9,
    });
  });

  it.each([
    ['--threads', '1'],
    ['--threads', 'many'],
    ['--seed', '-1'],
    ['--data-dir', ''],
    ['load', 'it'],
    ['--no', 'such'],
  ])('are refused when they are wrong: %s %s', (...args) => {
    expect(() => readTourOptions(args)).toThrow(UsageError);
  });

  it('never let it touch a directory that is not empty', () => {
    const dir = mkdtempSync(join(tmpdir(), 'troupe-home-'));
    expect(makeHome(dir)).toMatchObject({ dir, keeps: true });
    writeFileSync(join(dir, 'precious'), '');
    expect(() => makeHome(dir)).toThrow(UsageError);
    rmSync(dir, { recursive: true });
  });
});

describe('ports', () => {
  it('are as many as asked for, each another, and none that a socket that connects may be given', async () => {
    const ports = await freePorts(20);
    expect(new Set(ports).size).toBe(20);
    expect(ports.filter(port => port >= 32_768 || port < 1024)).toEqual([]);
  });
});
