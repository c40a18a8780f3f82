// Fields of the words between nodes, which may hold anything. Throw BAD_MESSAGE.

import { TroupeError } from '../../errors.ts';

export function textIn(value: unknown): string {
  if (typeof value !== 'string') throw new TroupeError('BAD_MESSAGE', 'a word between nodes lacks a name');
  return value;
}

export function numberIn(value: unknown): number {
  if (typeof value !== 'number') throw new TroupeError('BAD_MESSAGE', 'a word between nodes lacks a number');
  return value;
}
