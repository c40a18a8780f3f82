// A thread that merges, over and over: whoever terminates it finds it in the middle of something.

import { workerData } from 'node:worker_threads';
import { type MergeArgument, mergeRuns } from '../../../src/storage/runs/merge-job.ts';
import { removeRunFiles } from '../../../src/storage/runs/run-writer-store.ts';

const argument = workerData as MergeArgument;
for (;;) {
  const { run } = await mergeRuns(argument);
  if (run) removeRunFiles(argument.dir, run.file);
}
