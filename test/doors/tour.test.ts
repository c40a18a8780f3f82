// The tour as people start it: in a process of its own, on real cities, judged by its exit code.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { TourReport } from '../../src/doors/tour/tour.ts';

const main = join(import.meta.dirname, '../../src/doors/tour/main.ts');
const folder = mkdtempSync(join(tmpdir(), 'troupe-tour-test-'));
const minuteMs = 60_000;
/** Nine processes start, partitions move twice, and other tests run beside them. */
const tourMs = 4 * minuteMs;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

async function run(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = start(...args);
  let [out, err] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', text => {
    out += text;
  });
  child.stderr?.setEncoding('utf8').on('data', text => {
    err += text;
  });
  const [code] = await once(child, 'close');
  return { code, out, err };
}

describe('the tour', () => {
  it(
    'holds on a sample of the cities: exit code 0, and a report that says what was seen',
    async () => {
      const dataDir = join(folder, 'kept');
      const { code, out, err } = await run('--quick', '--json', '--seed', '11', '--data-dir', dataDir);
      expect(err).toBe('');
      const report = JSON.parse(out) as TourReport;
      expect(report.problems).toEqual([]);
      expect(code).toBe(0);
      expect(report).toMatchObject({ ok: true, interrupted: false, quick: true, seed: 11, kept: true, dataDir });
      expect(report.cities).toBeGreaterThan(2_000);
      expect([report.put?.count, report.get?.count, report.scan?.count]).toEqual(Array(3).fill(report.cities));
      expect(report.flushed?.count).toBe(100);
      expect(report.crash).toMatchObject({ kills: 1, gone: 0 });
      expect(report.crash?.acknowledged).toBeGreaterThanOrEqual(200);
      expect(report.move).toMatchObject({ moves: 10, senders: 3, lost: 0, doubled: 0, reordered: 0 });
      expect(report.move?.messages).toBeGreaterThan(1_000);
      expect(readdirSync(dataDir).sort()).toEqual(['cluster', 'crash', 'load']);
      expect(report.cluster).toMatchObject({ gone: 0, moves: 12, lost: 0, doubled: 0, reordered: 0 });
      const { founded = {}, joined = {}, left = {} } = report.cluster?.rings ?? {};
      expect([founded, joined, left].map(ring => Object.keys(ring))).toEqual([
        ['n1', 'n2', 'n3'],
        ['n1', 'n2', 'n3', 'n4'],
        ['n1', 'n2', 'n3'],
      ]);
      for (const handed of [report.cluster?.joined, report.cluster?.left]) {
        expect(handed).toMatchObject({
          bad: 0,
          checked: report.cluster?.acknowledged,
          lost: 0,
          doubled: 0,
          reordered: 0,
        });
        expect(handed?.pause.maxMs).toBeGreaterThanOrEqual(handed?.pause.p50Ms ?? Number.POSITIVE_INFINITY);
        for (const count of [handed?.bytes, handed?.records, handed?.actors, handed?.messages, handed?.writes])
          expect(count).toBeGreaterThan(0);
      }
      expect(report.cluster?.joined?.partitions).toBeGreaterThanOrEqual(joined.n4 ?? Number.POSITIVE_INFINITY);
      expect(report.cluster?.left?.partitions).toBeGreaterThanOrEqual(joined.n4 ?? Number.POSITIVE_INFINITY);
      expect(report.cluster?.served).toBeGreaterThan(300);
      expect(report.cluster?.acknowledged).toBeGreaterThan(1_300);
      expect(report.cluster?.messages).toBeGreaterThan(100);
    },
    tourMs,
  );

  it(
    'ends on SIGINT with 130, and leaves nothing behind',
    async () => {
      const child = start();
      let out = '';
      const closed = once(child, 'close');
      await new Promise<void>((resolve, reject) => {
        child.stdout?.setEncoding('utf8').on('data', text => {
          out += text;
          if (out.includes('Loading')) resolve();
        });
        child.on('close', () => reject(new Error(`it ended by itself: ${out}`)));
      });
      const dir = /^Data in (\S+),/m.exec(out)?.[1] ?? 'none';
      expect(existsSync(dir)).toBe(true);
      child.kill('SIGINT');
      expect(await closed).toEqual([130, null]);
      expect(existsSync(dir)).toBe(false);
      expect(out).toContain('Interrupted');
    },
    minuteMs,
  );

  it(
    'ends on SIGINT in the middle of its cluster, and leaves no process behind',
    async () => {
      const child = start('--quick');
      let out = '';
      const closed = once(child, 'close');
      await new Promise<void>((resolve, reject) => {
        child.stdout?.setEncoding('utf8').on('data', text => {
          out += text;
          if (out.includes('Loading cities across the ring')) resolve();
        });
        child.on('close', () => reject(new Error(`it ended by itself: ${out}`)));
      });
      const ports = [...out.matchAll(/n\d {2}up +127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
      expect(ports).toHaveLength(3);
      child.kill('SIGINT');
      expect(await closed).toEqual([130, null]);
      for (const port of ports) {
        const [error] = (await once(connect(port, '127.0.0.1'), 'error')) as [NodeJS.ErrnoException];
        expect(error.code).toBe('ECONNREFUSED');
      }
      expect(existsSync(/^Data in (\S+),/m.exec(out)?.[1] ?? 'none')).toBe(false);
    },
    tourMs,
  );

  it('says where the cities come from when there are none, and fails', async () => {
    const { code, err } = await run('--cities', join(folder, 'absent.json'));
    expect(code).toBe(1);
    expect(err).toContain('absent.json cannot be read as a list of cities');
    const odd = join(folder, 'odd.json');
    writeFileSync(odd, JSON.stringify([{ name: 'Paris', country: 'FR' }, { nom: 'Rome' }]));
    expect(await run('--cities', odd)).toMatchObject({ code: 1, err: `entry 1 of ${odd} has no name or no country\n` });
  });

  it('explains itself on --help, and refuses what it does not know with 2', async () => {
    const asked = await run('--help');
    expect([asked.code, asked.out.split('\n')[0]]).toEqual([0, 'Usage: npm start -- [options]']);
    const wrong = await run('--fast');
    expect(wrong.code).toBe(2);
    expect(wrong.err).toContain('--fast');
  });
});
