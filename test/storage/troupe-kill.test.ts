// kill -9 while segments are flushed, runs merged and files used again: every acknowledged group is there, whole, and nothing newer
// than it is older than it. TROUPE_KILLS=50 for more of them than a default run has time for.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { TroupeStore } from '../../src/storage/troupe-store.ts';
import { bytes, text } from './conformance.ts';

const kills = Number(process.env.TROUPE_KILLS ?? 6);
const keys = 5_000;
const inFlight = 32;

async function life(dir: string, acks: string, from: number, ms: number): Promise<void> {
  const args = [join(import.meta.dirname, 'troupe-child.ts'), dir, acks, String(from)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', data => {
    errors += data;
  });
  const ended = new Promise<string | number | null>(done => child.once('exit', (code, signal) => done(signal ?? code)));
  await Promise.race([new Promise(ready => child.stdout.once('data', ready)), ended]);
  await new Promise(done => setTimeout(done, ms));
  child.kill('SIGKILL');
  expect([await ended, errors]).toEqual(['SIGKILL', '']);
}

it(`${kills} times: no acknowledged group is missing or in pieces`, { timeout: 30_000 + kills * 5_000 }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'troupe-kill-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const acks = join(dir, 'acks');
  let from = 0;
  for (let kill = 0; kill < kills; kill++) {
    await life(join(dir, 'data'), acks, from, 150 + (kill % 4) * 250);
    const acked = existsSync(acks) ? readFileSync(acks, 'latin1').split('\n').filter(Boolean).map(Number) : [];
    const last = new Map<number, number>();
    let highest = from;
    for (const n of acked) {
      last.set(n % keys, Math.max(last.get(n % keys) ?? 0, n));
      highest = Math.max(highest, n);
    }
    const store = new TroupeStore({ dir: join(dir, 'data'), segmentBytes: 1 << 20 });
    await store.ready();
    const wrong: string[] = [];
    for (const [key, n] of last) {
      const shard = store.shard(`kv/${n % 4}`);
      const [a, b] = ['a', 'b'].map(part => text(shard.get(bytes(`${part}${key}`)))?.replaceAll('.', ''));
      // A later group of the key may have been written without anybody having been told; it is whole, then.
      const found = Number(a);
      const isWhole = found % 7 === 0 ? b === undefined || Number(b) < found : Number(b) === found;
      if (!(found >= n && found <= highest + inFlight + keys) || !isWhole)
        wrong.push(`${key}: ${a} ${b}, acknowledged ${n}`);
    }
    expect(wrong).toEqual([]);
    const scanned = [0, 1, 2, 3].map(each => [...store.shard(`kv/${each}`).scan()].length);
    expect(scanned).toEqual([0, 1, 2, 3].map(each => store.shard(`kv/${each}`).count()));
    await store.settle();
    for (const [key, n] of last)
      expect(
        Number(text(store.shard(`kv/${n % 4}`).get(bytes(`a${key}`)))?.replaceAll('.', '')),
      ).toBeGreaterThanOrEqual(n);
    await store.close();
    from = highest + inFlight + 1;
  }
  // What is not needed is not kept: spares, the runs the manifest names, and nothing else.
  expect(readdirSync(join(dir, 'data', 'log')).filter(name => name.endsWith('.spare')).length).toBeLessThanOrEqual(2);
  expect(readdirSync(join(dir, 'data', 'runs')).filter(name => /\.mdb$/.test(name)).length).toBeLessThanOrEqual(16);
});
