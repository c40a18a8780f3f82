// The far side of comlink.ts.

import { parentPort } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { Counter, type Tally } from './side.ts';

const counter = new Counter();

const far = {
  hit: (message: number | string): void => counter.hit(message),
  next: (value: number): number => value + 1,
  echo: (text: string): string => text,
  tally: (): Tally => counter.tally(),
};

export type FarSide = typeof far;

if (parentPort) expose(far, nodeEndpoint(parentPort));
