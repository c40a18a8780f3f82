// Who is a follower from the first write on, and who comes later.

import { expect, it } from 'vitest';
import type { Follower } from '../../../src/runtime/replicas/follower.ts';
import { Leading } from '../../../src/runtime/replicas/leading.ts';

it('a follower that comes later, or again, was not told of all that was written', () => {
  const made: [name: string, isFirst: boolean][] = [];
  const follower = { acked: -1, isFollowing: false, look() {}, end() {}, add() {} } as unknown as Follower;
  const leading = new Leading({
    ...{ self: 'n1', partition: 7, turn: 3, groups: [['n1', 'n2', 'n3']], round: 40 },
    isHeardBy: async () => true,
    store: async () => undefined,
    onStored() {},
    follower(name, _leading, isFirst) {
      made.push([name, isFirst]);
      return follower;
    },
    onEstablished() {},
    onGroups() {},
  });
  expect(made.splice(0)).toEqual([
    ['n2', true],
    ['n3', true],
  ]);
  void leading.push([]).catch(() => undefined);
  expect(leading.look(['n1', 'n2', 'n4'])).toEqual([]);
  expect(made.splice(0)).toEqual([['n4', false]]);
  expect(leading.look(['n1', 'n2', 'n3'])).toEqual(['n4']);
  leading.look(['n1', 'n2', 'n4']);
  expect(made).toEqual([['n4', false]]);
});
