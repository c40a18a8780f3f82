// How fast a full segment becomes a run, with the time its thread computes beside the time it takes: on a shared machine only the former
// says something about us. A command of its own:
//
//     node bench/engine/flush.ts [--bytes 1024] [--rounds 9]
//
// One segment of 32 MiB with keys in the order of a hash, over 16 shards; flushed from memory and from its file in turns.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { segmentBytesDefault } from '../../src/limits.ts';
import type { Crc32 } from '../../src/storage/crc32.ts';
import { segmentHeaderBytes, segmentSeed, writeFrame, writeSeal } from '../../src/storage/log/log-frame.ts';
import { encodeRecord, shardSeed } from '../../src/storage/record.ts';
import { flushSegment } from '../../src/storage/runs/flush-job.ts';
import { removeRunFiles } from '../../src/storage/runs/run-writer-store.ts';
import { readArguments, readNumber } from '../arguments.ts';
import { median, seededRandom } from '../stats.ts';

const crc: Crc32 = (bytes, seed) => crc32(bytes, seed);
const segment = 5;
const shards = 16;
const seeds = Array.from({ length: shards }, (_, n) => [n + 1, shardSeed(crc, `kv/${n}`)] as const);

const usage = `Usage: node bench/engine/flush.ts [options]

  --bytes <n>   of a value (default: 1024)
  --rounds <n>  from memory and from the file, each (default: 9)
  --help        this`;
const values = readArguments(usage, {
  bytes: { type: 'string', default: '1024' },
  rounds: { type: 'string', default: '9' },
});
const valueBytes = readNumber('bytes', values.bytes);
const rounds = readNumber('rounds', values.rounds);

/** The segment, and how many records are in it. */
function filled(): { readonly image: Uint8Array; readonly records: number } {
  const image = new Uint8Array(new SharedArrayBuffer(segmentBytesDefault));
  const random = seededRandom(7);
  const stamp = { seed: segmentSeed(crc, segment), durable: 0 };
  const [version, value] = [new Uint8Array(30), new Uint8Array(valueBytes)];
  const none = new Int32Array(1);
  let at: number = segmentHeaderBytes;
  let records = 0;
  while (at + valueBytes + 512 < image.length) {
    const [shard, seed] = seeds[Math.floor(random() * shards)] as readonly [number, number];
    const key = Buffer.from(`key-${String(Math.floor(random() * 2 ** 40)).padStart(16, '0')}`);
    const op = { key, record: encodeRecord(crc, seed, key, 1, version, value) };
    at = writeFrame(image, at, { lsn: ++records, shard, epoch: 1, ops: [op] }, stamp, crc, none, 0);
  }
  writeSeal(image, at, records, stamp, crc);
  return { image, records };
}

const { image, records } = filled();
const dir = mkdtempSync(join(tmpdir(), 'troupe-flush-'));
const segmentPath = join(dir, 'segment.log');
const runs = join(dir, 'runs');
mkdirSync(runs);
writeFileSync(segmentPath, new Uint8Array(image));
try {
  const samples = { memory: [] as [number, number][], file: [] as [number, number][] };
  for (let round = 0; round < 2 * (rounds + 1); round++) {
    const from = round % 2 === 0 ? 'memory' : 'file';
    const [began, cpu] = [performance.now(), process.cpuUsage()];
    const argument = { segmentPath, segment, dir: runs, runId: round + 1, seeds };
    const { run } = await flushSegment(from === 'memory' ? { ...argument, image } : argument);
    const [ms, { user, system }] = [performance.now() - began, process.cpuUsage(cpu)];
    if (run?.records !== records) throw new Error(`${run?.records} of ${records} records are in the run`);
    removeRunFiles(runs, run.file);
    // The first of each warms up.
    if (round >= 2) samples[from].push([ms, (user + system) / 1_000]);
  }
  for (const [from, all] of Object.entries(samples)) {
    const rate = (times: number[], pick: (times: number[]) => number): string => (records / pick(times)).toFixed(0);
    const [wall, cpu] = [all.map(([ms]) => ms), all.map(([, ms]) => ms)];
    const least = (times: number[]): number => Math.min(...times);
    console.log(
      `${records} records of ${valueBytes} from ${from}: thousand a second ${rate(wall, median)} (best ${rate(wall, least)}), ` +
        `by CPU time ${rate(cpu, median)} (best ${rate(cpu, least)})`,
    );
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
