// The far side of piscina.ts: one function, called a task at a time.

import { Counter, type Tally } from './side.ts';

export type Task = readonly [what: 'hit' | 'next' | 'echo' | 'tally', value: number | string];

const counter = new Counter();

export default function task([what, value]: Task): number | string | Tally | undefined {
  switch (what) {
    case 'hit':
      counter.hit(value);
      return undefined;
    case 'next':
      return (value as number) + 1;
    case 'echo':
      return value;
    case 'tally':
      return counter.tally();
  }
}
