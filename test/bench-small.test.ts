// Every bench runs, small, in every test run, so that none rots. Sizes prove nothing about speed and no figure is looked
// at: a row must be there, and its work must have been confirmed.

import { describe, expect, it } from 'vitest';
import {
  type BenchDefinition,
  type Contender,
  defineBench,
  type Report,
  type Row,
  runBench,
} from '../bench/harness.ts';
import { audit, emptyAccount, enter } from '../bench/relocation/ledger.ts';
import { render } from '../bench/report.ts';
import { benchNames, loadBench } from '../bench/run.ts';
import { median, percentile, rsdPercent, Sampler, samplesMax, seededRandom } from '../bench/stats.ts';
import type { StoreSide } from '../bench/store/side.ts';
import { sides, sustain } from '../bench/sustained.ts';

/** What a machine may lack; anything else that is missing is a failure. */
const mayBeMissing = ['redis-server is not on the PATH', 'openssl is not on the PATH'];

const lines = (report: Report, wanted: (row: Row) => boolean): string[] =>
  report.results.flatMap(({ workload, rows }) =>
    rows.filter(wanted).map(({ contender, status, why }) => `${workload}: ${contender} ${status}: ${why}`),
  );

describe('the benches', () => {
  it.each(benchNames())('%s completes all its work', { timeout: 120_000 }, async name => {
    const definition = await loadBench(name);
    const report = await runBench(definition, { mode: 'small' });
    expect(definition.name).toBe(name);
    expect(lines(report, ({ status }) => status === 'refused')).toEqual([]);
    expect(lines(report, ({ status, why }) => status === 'unavailable' && !mayBeMissing.includes(why ?? ''))).toEqual(
      [],
    );

    const isOurs = ({ contender }: Row): boolean => contender.startsWith('troupe');
    for (const { workload, alone, rounds, rows, goals } of report.results) {
      expect(rows.some(isOurs), `ours in ${workload}`).toBe(true);
      expect(rows.every(isOurs), `only ours in ${workload}`).toBe(alone !== undefined);
      for (const row of rows.filter(({ status }) => status === 'completed')) {
        expect(row.rounds, `${workload}: ${row.contender}`).toHaveLength(rounds);
        expect(row.figure, `${workload}: ${row.contender}`).toBeGreaterThan(0);
      }
      // A goal that names a contender nobody knows would never be missed.
      const names = rows.map(({ contender }) => contender);
      const parties = goals.flatMap(goal => ('peer' in goal ? [goal.ours, goal.peer] : [goal.ours]));
      expect(parties.filter(party => !names.includes(party))).toEqual([]);
    }
    expect(render(report)).toContain(`# ${name} (small)`);
  });
});

describe('the sustained bench', () => {
  it.each(Object.keys(sides))('holds %s at its rate, and counts every put', { timeout: 60_000 }, async name => {
    const side = await sides[name]?.('auto');
    const times = { minutes: 0.5 / 60, peakMs: 100, windowMs: 200 };
    const options = { ...times, rate: 20, keys: 100, inFlight: 64, readBack: 100 };
    const lines: string[] = [];
    const result = await sustain(name, side as StoreSide, options, text => lines.push(text)).catch((thrown: Error) => {
      if (!mayBeMissing.includes(thrown.message)) throw thrown;
    });
    if (result === undefined) return;
    const { peak, windows, whole, readBack } = result;
    expect(peak).toBeGreaterThan(0);
    const refused = Object.values(whole.refused).reduce((sum, count) => sum + count, 0);
    expect(whole.acknowledged + refused).toBe(whole.due);
    expect(windows.reduce((sum, { due }) => sum + due, 0)).toBe(whole.due);
    expect(windows.reduce((sum, { acknowledged }) => sum + acknowledged, 0)).toBe(whole.acknowledged);
    expect(readBack).toMatchObject({ lost: 0, older: 0 });
    expect(lines).toHaveLength(windows.length + 3);
  });
});

/** A bench of one workload whose contenders are planted. */
const planted = (contenders: Contender[], more: Partial<ReturnType<BenchDefinition['workloads']>[number]> = {}) =>
  defineBench({
    name: 'planted',
    about: 'planted',
    workloads: () => [{ name: 'work', about: 'work', opsMin: 10, opsMax: 10, contenders, ...more }],
  });

async function rowsOf(contenders: Contender[], more = {}, rounds = 3): Promise<readonly Row[]> {
  const report = await runBench(planted(contenders, more), { mode: 'small', rounds });
  return report.results[0]?.rows ?? [];
}

const honest = (name: string): Contender => ({ name, run: async n => ({ done: n }) });

describe('the harness', () => {
  it('refuses a number to work that was not confirmed, and leaves the others theirs', async () => {
    const short: Contender = { name: 'short', run: async n => ({ done: n - 1 }) };
    const [first, second] = await rowsOf([short, honest('honest')]);
    expect(first).toEqual({
      contender: 'short',
      status: 'refused',
      why: 'probe: not completed: confirmed 9 of 10',
      rounds: [],
    });
    expect(second).toMatchObject({ status: 'completed', samples: 3 });
  });

  it('refuses the row when only the last of many runs falls short, or fails', async () => {
    const tiring = (name: string, end: () => number): Contender => {
      let runs = 0;
      // The probe, then one run a round.
      return { name, run: async n => ({ done: ++runs === 4 ? end() : n }) };
    };
    const crash = (): number => {
      throw new Error('boom');
    };
    const rows = await rowsOf([tiring('short', () => 3), tiring('crash', crash), honest('honest')]);
    expect(rows.map(({ status, why }) => [status, why])).toEqual([
      ['refused', 'not completed: confirmed 3 of 10'],
      ['refused', 'boom'],
      ['completed', undefined],
    ]);
    expect(rows[0]).not.toHaveProperty('figure');
  });

  it('takes the sizes of the mode, but for those it is told', async () => {
    const sized = defineBench({
      name: 'sized',
      about: 'sized',
      workloads({ param }) {
        const opsMax = param('moves', 10, 1_000) + param('asks', 5, 500);
        return [{ name: 'work', about: 'work', opsMin: 1, opsMax, gauge: 'things', contenders: [gauge] }];
      },
    });
    const gauge: Contender = { name: 'gauge', run: async n => ({ done: n, value: n }) };
    const report = await runBench(sized, { mode: 'small', sizes: { moves: 70 } });
    expect(report.params).toEqual({ moves: 70, asks: 5 });
    expect(report.results[0]?.rows[0]?.figure).toBe(75);
  });

  it('refuses who did other work than the first', async () => {
    const hashing = (name: string, hash: number): Contender => ({ name, run: async n => ({ done: n, hash }) });
    const rows = await rowsOf([hashing('a', 7), hashing('b', 7), hashing('c', 8), honest('d')]);
    expect(rows.map(({ status }) => status)).toEqual(['completed', 'completed', 'refused', 'completed']);
    expect(rows[2]?.why).toBe('other work than a: hash 8 against 7');
  });

  it('refuses latencies that do not match the operations', async () => {
    const twice: Contender = {
      name: 'half',
      async run(n, latency) {
        for (let i = 0; i < n / 2; i++) latency.add(1);
        return { done: n };
      },
    };
    expect((await rowsOf([twice], { latency: true }))[0]?.why).toBe('probe: 5 latencies for 10 operations');
  });

  it('lets contenders take turns, in alternating order, and tears all down', async () => {
    const seen: string[] = [];
    const watched = (name: string): Contender => ({
      name,
      setup: () => void seen.push(`+${name}`),
      run: async n => {
        seen.push(name);
        return { done: n };
      },
      teardown: () => void seen.push(`-${name}`),
    });
    await rowsOf([watched('a'), watched('b'), watched('c')]);
    expect(seen.join(' ')).toBe('+a +b +c a b c a b c c b a a b c -c -b -a');
  });

  it("lets each settle what it has put off before the next one's turn", async () => {
    const seen: string[] = [];
    const watched = (name: string): Contender => ({
      name,
      run: async n => {
        seen.push(name);
        return { done: n };
      },
      settle: () => void seen.push(`.${name}`),
    });
    await rowsOf([watched('a'), watched('b')], {}, 1);
    expect(seen.join(' ')).toBe('a .a b .b .a .b a .a b .b');
  });

  it('compares percentiles of single operations, and holds one against a limit', async () => {
    const taking = (name: string, ms: number): Contender => ({
      name,
      async run(n, latency) {
        for (let i = 0; i < n; i++) latency.add(ms);
        return { done: n };
      },
    });
    const goals = [
      { ours: 'a', peer: 'b', by: 'p99', times: 2 },
      { ours: 'b', by: 'p50', atMost: 5_000 },
    ];
    const report = await runBench(planted([taking('a', 2), taking('b', 6)], { latency: true, goals } as never), {
      mode: 'small',
    });
    expect(report.results[0]?.rows.map(({ p50Us, p99Us, p999Us }) => [p50Us, p99Us, p999Us])).toEqual([
      [2_000, 2_000, 2_000],
      [6_000, 6_000, 6_000],
    ]);
    const table = render(report);
    expect(table).toContain('Goal: a 2 x better than b by p99: 3.00 x.');
    expect(table).toContain('Goal: b p50 at most 5000 us: 6000, short of it.');
  });

  it('tears down who failed, too', async () => {
    let closed = false;
    const failing: Contender = {
      name: 'failing',
      run: () => Promise.reject(new Error('boom')),
      teardown: () => {
        closed = true;
      },
    };
    await rowsOf([failing]);
    expect(closed).toBe(true);
  });

  it('takes the median of the rounds, from the time a contender says counts', async () => {
    const paces = [1, 10, 40, 20];
    const paced: Contender = { name: 'paced', run: async n => ({ done: n, ms: paces.shift() ?? 0 }) };
    const [row] = await rowsOf([paced]);
    expect(row?.rounds.map(Math.round)).toEqual([1_000, 250, 500]);
    expect(row?.figure).toBeCloseTo(500);
    expect(row?.p50Us).toBeCloseTo(2_000);
  });

  it('runs a gauge with few operations first, then with all, at most for the rounds it asks for', async () => {
    const seen: number[] = [];
    const gauge: Contender = {
      name: 'gauge',
      async run(n) {
        seen.push(n);
        return { done: n, value: n, more: { twice: 2 * n } };
      },
    };
    const [row] = await rowsOf([gauge], { gauge: 'things', rounds: 2, opsMax: 50 });
    expect(seen).toEqual([10, 50, 50]);
    expect(row).toMatchObject({ figure: 50, rounds: [50, 50], more: { twice: 100 } });
  });

  it('reads a gauge once a round, and says how a goal was met', async () => {
    const gauge = (name: string, value: number): Contender => ({ name, run: async n => ({ done: n, value }) });
    const goals = [
      { ours: 'a', peer: 'b', by: 'value', times: 4 },
      { ours: 'a', atMost: 99 },
      { ours: 'b', atMost: 350 },
    ];
    const report = await runBench(planted([gauge('a', 100), gauge('b', 350)], { gauge: 'bytes', goals } as never), {
      mode: 'small',
    });
    expect(report.results[0]?.rows.map(({ figure, samples }) => [figure, samples])).toEqual([
      [100, 2],
      [350, 2],
    ]);
    expect(report.results[0]?.goals[0]?.reached).toBe(3.5);
    const table = render(report);
    expect(table).toContain('Goal: a 4 x better than b by value: 3.50 x, short of it.');
    expect(table).toContain('Goal: a at most 99: 100, short of it.');
    expect(table).toContain('Goal: b at most 350: 350.');
  });
});

describe('the ledger of the relocation bench', () => {
  const ledger = (numbers: number[]) => {
    const account = emptyAccount();
    for (const number of numbers) enter(account, number);
    return account;
  };

  it.each([
    ['all in order', [0, 1, 2, 3], [0, 0, 0]],
    ['one lost on the way', [0, 1, 3], [1, 0, 0]],
    ['the last ones lost', [0, 1], [2, 0, 0]],
    ['one twice', [0, 1, 1, 2, 3], [0, 1, 0]],
    ['one late', [0, 2, 3, 1], [0, 0, 1]],
    ['one late, and again', [0, 2, 1, 1, 3], [0, 1, 1]],
    ['nothing', [], [4, 0, 0]],
  ])('sees what became of four messages: %s', (_, came, [lost, doubled, reordered]) => {
    expect(audit(ledger(came), 4)).toEqual({ lost, doubled, reordered });
  });

  it('takes messages of nobody for lost', () => {
    expect(audit(undefined, 3)).toEqual({ lost: 3, doubled: 0, reordered: 0 });
  });
});

describe('the statistics', () => {
  it.each([
    [[5], 5, 5, 5, 0],
    [[1, 2, 3, 4], 2.5, 2, 4, 51.6398],
    [Array.from({ length: 200 }, (_, i) => 200 - i), 100.5, 100, 198, 57.5912],
  ])('of %# are what arithmetic says', (values, middle, p50, p99, rsd) => {
    const sorted = values.toSorted((a, b) => a - b);
    expect(median(values)).toBe(middle);
    expect([percentile(sorted, 0.5), percentile(sorted, 0.99)]).toEqual([p50, p99]);
    expect(rsdPercent(values)).toBeCloseTo(rsd, 3);
  });

  it('keep a bounded, fair sample of an unbounded run', () => {
    const sampler = new Sampler(seededRandom(3));
    const count = samplesMax * 2;
    for (let i = 0; i < count; i++) sampler.add(i);
    const sorted = sampler.sorted();
    expect([sampler.count, sorted.length]).toEqual([count, samplesMax]);
    expect(percentile(sorted, 0.5) / count).toBeCloseTo(0.5, 2);
  });

  it('draw the same numbers from the same seed, evenly', () => {
    const draw = (seed: number) => Array.from({ length: 10_000 }, seededRandom(seed));
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    const tenths = Map.groupBy(draw(1), value => Math.floor(value * 10));
    expect([...tenths.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const [tenth, values] of tenths) expect(values.length, `tenth ${tenth}`).toBeGreaterThan(850);
  });
});
