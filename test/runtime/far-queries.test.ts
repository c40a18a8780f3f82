// What a thread is asked (src/runtime/far-queries.ts): begun in the order of its link, answered when it is done.

import { expect, it } from 'vitest';
import { TroupeError } from '../../src/errors.ts';
import { FarQueries } from '../../src/runtime/far-queries.ts';
import type { FarRouter } from '../../src/runtime/far-router.ts';

function rig(handlers: Record<string, () => unknown>) {
  const words = new Map<string, (from: number, payload: unknown) => void>();
  const replies: unknown[] = [];
  const router = {
    on: (name: string, word: (from: number, payload: unknown) => void) => words.set(name, word),
    handlerOf: (name: string) => handlers[name],
    control: (to: number, name: string, payload: unknown) => replies.push([to, name, payload]),
  };
  new FarQueries(router as unknown as FarRouter);
  const hear = (id: number, name: string): void => words.get('query')?.(2, { id, name, payload: null });
  return { hear, replies };
}

it('begins where it stands on its link, before what was sent behind it is read', () => {
  const trail: string[] = [];
  const { hear } = rig({ release: () => trail.push('release') });
  hear(1, 'release');
  trail.push('the next frame');
  expect(trail).toEqual(['release', 'the next frame']);
});

it('is answered once it is done, with what it came to; also when there is no such word', async () => {
  const { hear, replies } = rig({
    slow: async () => 7,
    fails: () => {
      throw new TroupeError('DISK_FULL', 'no room');
    },
  });
  for (const [id, name] of ['slow', 'fails', 'nonsense'].entries()) hear(id, name);
  await new Promise(resolve => setImmediate(resolve));
  expect(replies).toHaveLength(3);
  expect(replies).toContainEqual([2, 'reply', { id: 0, value: 7 }]);
  const error = (code: string) => expect.arrayContaining([code]);
  expect(replies).toContainEqual([2, 'reply', { id: 1, error: error('DISK_FULL') }]);
  expect(replies).toContainEqual([2, 'reply', { id: 2, error: error('BAD_MESSAGE') }]);
});
