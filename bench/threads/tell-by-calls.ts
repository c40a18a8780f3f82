// A tell for libraries that only have calls: all promises at once, gathered at the end.

import type { Done } from '../harness.ts';
import { confirmTells, type Tally } from './side.ts';

export function tellByCalls(
  n: number,
  call: (index: number) => Promise<unknown>,
  tally: () => Promise<Tally>,
): Promise<Done> {
  const answers: Promise<unknown>[] = [];
  const settled = async (): Promise<Tally> => {
    await Promise.all(answers);
    return tally();
  };
  return confirmTells(n, index => void answers.push(call(index)), settled);
}
