// How many of what: by node, by error code.

import { grouped } from './view.ts';

export type Counts = Readonly<Record<string, number>>;

/** How often each name comes, in the order of the names. */
export function countsOf(names: readonly string[]): Counts {
  const counts: Record<string, number> = {};
  for (const name of [...names].sort()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** 'n1 20,010, n2 19,990' */
export function inWords(counts: Counts): string {
  const names = Object.keys(counts).sort();
  return names.map(name => `${name} ${grouped(counts[name] as number)}`).join(', ');
}
