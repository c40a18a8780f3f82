// The ways that exist only in the bench, so that it compares with the real thing.

import { describe, expect, it } from 'vitest';
import { claimed, modulo, rendezvous, tokens } from '../../../bench/ownership/placements.ts';
import { seededRandom } from '../../../bench/stats.ts';
import { md5First32 } from '../../../src/runtime/md5.ts';

const keys = Array.from({ length: 10_000 }, (_, i) => md5First32(`key${i}`));
const servers = (count: number): string[] => Array.from({ length: count }, (_, i) => `server${i}`);

describe('hash % n', () => {
  it('uses the nodes of the remainders and leaves one empty (A-10)', () => {
    const four = modulo(servers(4));
    expect([6, 1, 3].map(key => four.nodeOf(key))).toEqual(['server2', 'server1', 'server3']);
  });

  it('moves four fifths of the keys when a fifth node comes (A-10)', () => {
    const four = modulo(servers(4));
    const five = four.join('server4');
    const moved = keys.filter(key => four.nodeOf(key) !== five.nodeOf(key)).length / keys.length;
    expect(moved).toBeGreaterThan(0.78);
    expect(moved).toBeLessThan(0.82);
  });
});

describe('rendezvous', () => {
  const six = rendezvous(servers(6));

  it('changes only the keys of the node that goes, and gives them back to it (A-11)', () => {
    const five = six.leave('server5');
    for (const key of keys) {
      if (six.nodeOf(key) !== 'server5') expect(five.nodeOf(key)).toBe(six.nodeOf(key));
      else expect(five.nodeOf(key)).not.toBe('server5');
      expect(five.join('server5').nodeOf(key)).toBe(six.nodeOf(key));
    }
  });

  it('shares evenly', () => {
    const counts = servers(6).map(server => keys.filter(key => six.nodeOf(key) === server).length);
    for (const count of counts) expect(Math.abs(count / (keys.length / 6) - 1)).toBeLessThan(0.1);
  });
});

describe('partitions that are claimed', () => {
  it('keep every node within 15 % of the mean; random tokens do not (A-28)', () => {
    const names = servers(8);
    const worst = (nodeOf: (key: number) => string): number =>
      Math.max(...names.map(name => Math.abs(keys.filter(key => nodeOf(key) === name).length / (keys.length / 8) - 1)));
    expect(worst(claimed(names, 64).nodeOf)).toBeLessThan(0.15);
    expect(worst(tokens(names, 8, seededRandom(4)).nodeOf)).toBeGreaterThan(0.15);
  });
});
