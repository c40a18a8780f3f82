// Whatever stands still while a partition goes from node to node, for less than a session lives: nothing is lost, everybody's words come in order, and
// no last word is waited for in vain.

import { expect, it } from 'vitest';
import { speakAndHand } from './words-by-chance.ts';

/** Those that have found something, of thousands. */
const found = [176, 636, 717, 764, 812, 893, 960, 1194, 1256, 1278, 10_851, 11_072];
const some = Array.from({ length: 40 }, (_, seed) => seed + 1);

it.each([...some, ...found])('seed %i', async seed => {
  const { heard, should, late } = await speakAndHand(seed);
  expect(heard).toEqual(should);
  expect(late).toEqual([0, 0, 0, 0]);
});
