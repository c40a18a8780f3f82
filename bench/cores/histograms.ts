// Latencies recorded and summed up: our histogram, the one of Node (HdrHistogram in C++), and an array that is sorted at
// the end.

import { createHistogram } from 'node:perf_hooks';
import { Histogram } from '../../src/runtime/histogram.ts';
import type { Contender } from '../harness.ts';
import { percentile, seededRandom } from '../stats.ts';

interface Recorder {
  record(ns: number): void;
  /** p50, p99, the largest. */
  sum(): readonly [number, number, number];
}

/** Runs record whole turns of these, so that the truth about them is the truth about every run. */
export const latenciesPerTurn = 10_000;

/** From 1 us to 10 ms, most of them small. */
const latencies: Float64Array = (() => {
  const random = seededRandom(5);
  return Float64Array.from({ length: latenciesPerTurn }, () => Math.floor(1_000 * 10_000 ** (random() * random())));
})();

const sorted = latencies.slice().sort();
const real = [percentile(sorted, 0.5), percentile(sorted, 0.99), percentile(sorted, 1)] as const;

const isNear = (found: number, real: number): boolean => Math.abs(found - real) <= real * 0.02;

function contender(name: string, make: () => Recorder): Contender {
  return {
    name,
    async run(n) {
      const began = performance.now();
      const recorder = make();
      for (let turn = 0; turn < n / latenciesPerTurn; turn++)
        for (let i = 0; i < latenciesPerTurn; i++) recorder.record(latencies[i] as number);
      const found = recorder.sum();
      const ms = performance.now() - began;
      return { done: found.every((each, i) => isNear(each, real[i] as number)) ? n : 0, ms };
    },
  };
}

function ours(): Recorder {
  const histogram = new Histogram();
  return {
    record: ns => histogram.record(ns),
    sum: () => [histogram.quantile(0.5), histogram.quantile(0.99), histogram.max],
  };
}

function ofNode(): Recorder {
  const histogram = createHistogram();
  return {
    record: ns => histogram.record(ns),
    sum: () => [histogram.percentile(50), histogram.percentile(99), histogram.max],
  };
}

function array(): Recorder {
  const all: number[] = [];
  return {
    record: ns => void all.push(ns),
    sum() {
      const sorted = Float64Array.from(all).sort();
      return [percentile(sorted, 0.5), percentile(sorted, 0.99), percentile(sorted, 1)];
    },
  };
}

export const histograms = (): Contender[] => [
  contender('troupe histogram', ours),
  contender('perf_hooks histogram', ofNode),
  contender('array, sorted', array),
];
