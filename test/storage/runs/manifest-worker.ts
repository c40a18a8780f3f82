// A thread that edits the manifest as fast as it can, while another one does the same.

import { parentPort, workerData } from 'node:worker_threads';
import { openManifest } from '../../../src/storage/runs/manifest-store.ts';
import type { RunInfo } from '../../../src/storage/runs/run-format.ts';

const { dir, at, rounds } = workerData as { dir: string; at: number; rounds: number };
const onFatal = (why: Error): void => {
  throw why;
};
const manifest = await openManifest({ dir, owner: 'node-1', onFatal });
const ids: number[] = [];
const shards: [string, number][] = [];
for (let round = 0; round < rounds; round++) {
  const id = await manifest.nextRunId();
  const run: RunInfo = {
    id,
    file: `run-${id}.mdb`,
    bytes: 1,
    crc: 1,
    records: 1,
    deletes: 0,
    minLsn: 1,
    maxLsn: 1,
    shards: [],
  };
  await manifest.edit({ add: [run], flushed: [1_000 * at + round] });
  if (round % 2 === 0) await manifest.edit({ remove: [id] });
  if (round % 8 === 0) shards.push([`s${round}`, await manifest.addShard(`s${round}`)]);
  ids.push(id);
}
await manifest.close();
parentPort?.postMessage({ ids, shards });
