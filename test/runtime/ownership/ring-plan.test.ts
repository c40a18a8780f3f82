import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../bench/stats.ts';
import { preference } from '../../../src/runtime/ownership/preference.ts';
import { emptyRing, memberOf, type Ring, ringHash, type Transfer } from '../../../src/runtime/ownership/ring.ts';
import {
  announce,
  type Changes,
  commit,
  complete,
  forget,
  isRefusal,
  mark,
  type PlanOptions,
  plan,
  type RingPlan,
  startable,
} from '../../../src/runtime/ownership/ring-plan.ts';
import { countOf, counts, crowded, moved, ringOf, seenByAll } from './clusters.ts';

function planned(ring: Ring, changes: Changes, options?: PlanOptions): RingPlan {
  const made = plan(ring, changes, options);
  if (isRefusal(made)) throw new Error(made.error);
  return made;
}

function committed(ring: Ring, changes: Changes, options?: PlanOptions): Ring {
  const next = commit(ring, planned(ring, changes, options), ring.claimant, seenByAll(ring));
  if (isRefusal(next)) throw new Error(next.error);
  return next;
}

function completed(ring: Ring, transfer = ring.next[0] as Transfer): Ring {
  const next = complete(ring, transfer, ring.claimant);
  if (isRefusal(next)) throw new Error(next.error);
  return next;
}

function finished(ring: Ring): Ring {
  let done = ring;
  while (done.next.length > 0) done = completed(done);
  return done;
}

const named = (count: number): { name: string }[] => Array.from({ length: count }, (_, i) => ({ name: `n${i + 1}` }));
const born = (count: number, partitions = 64): Ring =>
  committed(emptyRing({ cluster: 'c', partitions, claimant: 'n1' }), { join: named(count) });
const statuses = (ring: Ring): string => ring.members.map(({ name, status }) => `${name} ${status}`).join(', ');
const five = born(5);

describe('a plan', () => {
  it('shows the ring as it will be, and what has to move', () => {
    const shown = planned(five, { join: [{ name: 'n6' }] });
    expect(counts(shown.ring.owners)).toEqual([11, 11, 11, 11, 10, 10]);
    expect(shown.transfers.map(({ partition }) => partition)).toEqual(moved(five.owners, shown.ring.owners));
    expect(shown.transfers.every(({ from, to, partition }) => from === five.owners[partition] && to === 'n6')).toBe(
      true,
    );
    expect(shown.transfers.every(({ reason }) => reason === 'balance')).toBe(true);
    expect(shown.warnings).toEqual([]);
  });

  it('changes nothing, and is the same for whoever makes it', () => {
    const before = ringHash(five);
    const shown = planned(five, { join: [{ name: 'n6' }] });
    expect(ringHash(five)).toBe(before);
    expect(planned(structuredClone(five), { join: [{ name: 'n6' }] })).toEqual(shown);
    expect(planned(five, { join: [{ name: 'n7' }] }).hash).not.toBe(shown.hash);
  });

  it('warns where it cannot keep copies apart, and goes on', () => {
    const { warnings, transfers } = planned(born(1), { join: [{ name: 'n2' }] });
    expect(warnings).toEqual([{ kind: 'spacing', spacing: 4, members: 2, runs: 64 }]);
    expect(transfers).toHaveLength(32);
  });

  it('marks what moves between members that stay as moved for spacing', () => {
    const shown = planned(born(3), { join: [{ name: 'n4' }] });
    const between = shown.transfers.filter(({ to }) => to !== 'n4');
    expect(crowded(shown.ring.owners, 4)).toEqual([]);
    expect(between.length).toBeGreaterThan(0); // three in turn and four in turn have nothing in common
    expect(between.every(({ reason }) => reason === 'spacing')).toBe(true);
  });

  it.each<[string, Changes, object]>([
    ['joins who is there', { join: [{ name: 'n1' }] }, { error: 'already-member', member: 'n1' }],
    ['takes leave of nobody', { leave: ['n9'] }, { error: 'unknown-member', member: 'n9' }],
    ['weighs nobody', { weights: { n9: 1 } }, { error: 'unknown-member', member: 'n9' }],
    ['replaces nobody', { replace: { n9: { name: 'n10' } } }, { error: 'unknown-member', member: 'n9' }],
    ['replaces by who is there', { replace: { n1: { name: 'n2' } } }, { error: 'already-member', member: 'n2' }],
    ['names one twice', { leave: ['n1'], weights: { n1: 2 } }, { error: 'named-twice', member: 'n1' }],
    ['weighs less than nothing', { weights: { n1: -1 } }, { error: 'bad-weight', member: 'n1', weight: -1 }],
    [
      'joins without end',
      { join: [{ name: 'x', weight: Infinity }] },
      { error: 'bad-weight', member: 'x', weight: Infinity },
    ],
    ['leaves nobody', { leave: ['n1', 'n2', 'n3', 'n4', 'n5'] }, { error: 'nobody-left' }],
    ['does nothing', {}, { error: 'nothing-to-change' }],
  ])('is refused that %s', (_, changes, refusal) => {
    expect(plan(five, changes)).toEqual(refusal);
  });
});

describe('a commit', () => {
  it('publishes the transfers and leaves every owner where the data is', () => {
    const shown = planned(five, { join: [{ name: 'n6' }] });
    const ring = committed(five, { join: [{ name: 'n6' }] });
    expect(ring.owners).toEqual(five.owners);
    expect(ring.epoch).toBe(five.epoch + 1);
    expect(ring.next).toEqual(shown.transfers.map(({ partition, from, to }) => ({ partition, from, to })));
    expect(finished(ring).owners).toEqual(shown.ring.owners);
    expect(finished(ring).members).toEqual(shown.ring.members);
  });

  it('gives partitions that nobody owned at once: there is nothing to wait for', () => {
    expect(five.next).toEqual([]);
    expect(counts(five.owners)).toEqual([13, 13, 13, 13, 12]);
  });

  it('refuses a plan when the ring is another by now (A-176)', () => {
    const shown = planned(five, { join: [{ name: 'n6' }] });
    const other = mark(five, 'n3', 'down', 'n1');
    expect(commit(other, shown, 'n1', seenByAll(other))).toEqual({
      error: 'plan-changed',
      planned: ringHash(five),
      found: ringHash(other),
    });
  });

  it('refuses a plan that is not what was shown', () => {
    const shown = planned(five, { join: [{ name: 'n6' }] });
    const [first, ...others] = shown.transfers;
    for (const altered of [
      { ...shown, transfers: others },
      { ...shown, transfers: [{ ...(first as RingPlan['transfers'][number]), to: 'n2' }, ...others] },
      { ...shown, ring: { ...shown.ring, owners: shown.ring.owners.with(0, 'n2') } },
      { ...shown, hash: 'f'.repeat(32) },
    ]) {
      expect(commit(five, altered, 'n1', seenByAll(five))).toMatchObject({ error: 'plan-changed' });
    }
  });

  it('waits until everybody has seen the ring there is', () => {
    const seen = new Map([...seenByAll(five), ['n4', 'another']]);
    const shown = planned(five, { leave: ['n2'] });
    expect(commit(five, shown, 'n1', seen)).toEqual({ error: 'ring-not-ready', waitingFor: ['n4'] });
  });

  it('accepts the plan after it went through JSON, as an operator sends it', () => {
    const shown = JSON.parse(JSON.stringify(planned(five, { leave: ['n2'] }))) as RingPlan;
    expect(isRefusal(commit(five, shown, 'n1', seenByAll(five)))).toBe(false);
  });
});

describe('a transfer', () => {
  const joining = committed(five, { join: [{ name: 'n6' }] });
  const up = (): boolean => true;

  it('turns over one partition when it is complete, and no other', () => {
    const [first] = joining.next as [Transfer];
    const after = completed(joining, first);
    expect(moved(joining.owners, after.owners)).toEqual([first.partition]);
    expect(after.owners[first.partition]).toBe('n6');
    expect(after.next).toEqual(joining.next.slice(1));
    expect(after.epoch).toBe(joining.epoch + 1);
  });

  it('is refused when it is reported twice, or is not what was asked for', () => {
    const [first] = joining.next as [Transfer];
    const after = completed(joining, first);
    for (const [ring, transfer] of [
      [after, first],
      [joining, { ...first, to: 'n2' }],
      [joining, { ...first, from: 'n9' }],
      [
        joining,
        {
          ...first,
          partition: moved(joining.owners, joining.owners.toReversed()).find(
            p => !joining.next.some(t => t.partition === p),
          ) as number,
        },
      ],
    ] as const) {
      expect(complete(ring, transfer, 'n1')).toEqual({ error: 'no-such-transfer', transfer });
    }
  });

  it('begins only while its ends, and the cluster, have room (A-183)', () => {
    const begin = startable(joining, [], up);
    expect(begin).toHaveLength(2); // n6 receives two at once
    expect(startable(joining, begin, up)).toEqual([]);
    expect(startable(joining, begin.slice(1), up)).toHaveLength(1);
    expect(startable(joining, [], up, { in: 99, total: 5 })).toHaveLength(5);
    expect(startable(joining, begin, up, { in: 99, out: 99, total: 99 })).toEqual(joining.next.slice(2));
    const leaving = committed(five, { leave: ['n2'] });
    expect(startable(leaving, [], up, { in: 99, total: 99 }).filter(({ from }) => from === 'n2')).toHaveLength(2);
    expect(startable(leaving, [], up, { out: 99, in: 99 })).toHaveLength(8);
    expect(startable(joining, [], up, { in: 99, out: 99, total: 99 })).toEqual(joining.next);
  });

  it('that was interrupted is offered again, and nothing has changed (A-181)', () => {
    const begin = startable(joining, [], up);
    expect(startable(joining, [], name => name !== 'n6')).toEqual([]);
    expect(startable(joining, [], up)).toEqual(begin);
    expect(joining.owners).toEqual(five.owners);
  });

  it('keeps a key with its owner and its replicas until it is complete (A-188)', () => {
    let ring = joining;
    for (const transfer of joining.next) {
      expect(preference(ring, transfer.partition, 1)).toEqual([transfer.from]);
      ring = completed(ring, transfer);
      expect(preference(ring, transfer.partition, 1)).toEqual([transfer.to]);
    }
  });
});

describe('a member', () => {
  it('that leaves is gone when it owns nothing any more, and not earlier (A-173)', () => {
    let ring = committed(five, { leave: ['n2'] });
    expect(statuses(ring)).toContain('n2 leaving');
    const begun = countOf(ring.owners, 'n2');
    expect(begun).toBeGreaterThan(0);
    while (ring.next.length > 0) {
      expect(memberOf(ring, 'n2')?.status).toBe('leaving');
      expect(forget(ring, 'n2', 'n1')).toBe(ring);
      ring = completed(ring, ring.next.at(-1) as Transfer);
    }
    expect(memberOf(ring, 'n2')?.status).toBe('exiting');
    expect(counts(ring.owners)).toEqual([16, 16, 16, 16]);
    expect(statuses(forget(ring, 'n2', 'n1'))).toBe('n1 valid, n3 valid, n4 valid, n5 valid');
  });

  it('that owned nothing leaves at once', () => {
    const idle = finished(committed(five, { weights: { n2: 0 } }));
    expect(countOf(idle.owners, 'n2')).toBe(0);
    expect(statuses(idle)).toContain('n2 valid');
    expect(statuses(committed(idle, { leave: ['n2'] }))).toContain('n2 exiting');
  });

  it('that replaces another takes exactly its place', () => {
    const ring = committed(five, { replace: { n3: { name: 'new' } } });
    expect(ring.next.every(({ from, to }) => from === 'n3' && to === 'new')).toBe(true);
    expect(planned(five, { replace: { n3: { name: 'new' } } }).transfers.every(t => t.reason === 'replace')).toBe(true);
    const done = finished(ring);
    expect(done.owners).toEqual(five.owners.map(owner => (owner === 'n3' ? 'new' : owner)));
    expect(memberOf(done, 'n3')?.status).toBe('exiting');
  });

  it('that replaces another leaves an uneven ring as uneven as it was', () => {
    const uneven = ringOf('a b c d a b c d a b c d a b c e');
    const shown = planned(uneven, { replace: { a: { name: 'f' } } });
    expect(shown.ring.owners).toEqual(uneven.owners.map(owner => (owner === 'a' ? 'f' : owner)));
    expect(shown.warnings).toEqual([]);
    expect(planned(ringOf('a a b c d e f g'), { replace: { a: { name: 'z' } } }).warnings).toEqual([
      { kind: 'spacing', spacing: 4, members: 7, runs: 3 },
    ]);
  });

  it('that replaces another has its weight and its zone, and another may join beside it', () => {
    const heavy = finished(committed(born(8), { weights: { n3: 2 } }));
    const ring = finished(committed(heavy, { replace: { n3: { name: 'new' } }, join: [{ name: 'n9' }] }));
    expect(memberOf(ring, 'new')).toMatchObject({ weight: 2, zone: '', rack: '' });
    expect(countOf(ring.owners, 'new')).toBe(13); // 64 * 2 / 10 = 12.8
    expect(crowded(ring.owners, 4)).toEqual([]);
  });

  it('that announced itself owns nothing before it is planned in', () => {
    const ring = announce(five, { name: 'n6', zone: 'z' }, 'n1');
    expect(memberOf(ring, 'n6')).toMatchObject({ status: 'joining', zone: 'z' });
    expect(announce(ring, { name: 'n6' }, 'n1')).toBe(ring);
    expect(countOf(planned(ring, { weights: { n1: 1 } }).ring.owners, 'n6')).toBe(0);
    expect(memberOf(committed(ring, { join: [{ name: 'n6' }] }), 'n6')?.status).toBe('valid');
  });

  it('that flaps changes no owner, moves nothing and is planned with as before (A-190)', () => {
    let ring = committed(five, { join: [{ name: 'n6' }] });
    const { owners, next } = ring;
    for (let flap = 0; flap < 20; flap++) ring = mark(ring, 'n3', flap % 2 === 0 ? 'down' : 'valid', 'n1');
    expect(ring).toMatchObject({ owners, next });
    const down = mark(five, 'n3', 'down', 'n1');
    expect(planned(down, { join: [{ name: 'n6' }] }).transfers).toEqual(
      planned(five, { join: [{ name: 'n6' }] }).transfers,
    );
    expect(mark(down, 'n3', 'down', 'n1')).toBe(down);
    expect(mark(down, 'n9', 'down', 'n1')).toBe(down);
  });

  it('that is dead can be sent away: its partitions are transfers like any other (A-174)', () => {
    const ring = committed(mark(five, 'n3', 'down', 'n1'), { leave: ['n3'] });
    expect(startable(ring, [], name => name !== 'n3').some(({ from }) => from === 'n3')).toBe(true);
    expect(countOf(finished(ring).owners, 'n3')).toBe(0);
  });
});

describe('planning while transfers are pending', () => {
  const joining = completed(committed(five, { join: [{ name: 'n6' }] }));

  it('keeps those that are still wanted, untouched', () => {
    const again = committed(joining, { weights: { n1: 1 } });
    expect(again.next).toEqual(joining.next);
  });

  it('goes on from where they lead, not from where things lie now', () => {
    const both = committed(joining, { join: [{ name: 'n7' }] });
    const before = joining.next.map(({ partition }) => partition);
    const stillToN6 = both.next.filter(({ to }) => to === 'n6');
    expect(stillToN6.length).toBeGreaterThan(0);
    expect(stillToN6.every(({ partition }) => before.includes(partition))).toBe(true);
  });

  it('takes a receiver that is to leave out again', () => {
    const without = committed(joining, { leave: ['n6'] });
    expect(without.next.some(({ to }) => to === 'n6')).toBe(false);
    expect(countOf(finished(without).owners, 'n6')).toBe(0);
    expect(memberOf(finished(without), 'n6')?.status).toBe('exiting');
  });

  it('ends in a balanced ring with everybody apart, whatever is planned and wherever it is interrupted', () => {
    const random = seededRandom(31);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
    for (let story = 0; story < 10; story++) {
      let ring = born(6);
      for (let step = 0; step < 12; step++) {
        const valid = ring.members.filter(({ status }) => status === 'valid').map(({ name }) => name);
        const dice = random();
        const newcomer = { name: `s${story}-${step}` };
        if (dice < 0.4 || valid.length <= 6) ring = committed(ring, { join: [newcomer] });
        else if (dice < 0.7) ring = committed(ring, { leave: [pick(valid)] });
        else if (dice < 0.8) ring = committed(ring, { replace: { [pick(valid)]: newcomer } });
        else ring = committed(ring, { weights: { [pick(valid)]: 1 } });
        for (let some = Math.floor(random() * 12); some > 0 && ring.next.length > 0; some--)
          ring = completed(ring, pick(ring.next));
        const names = new Set(ring.members.filter(({ status }) => status !== 'exiting').map(({ name }) => name));
        expect(ring.owners.every(owner => names.has(owner))).toBe(true);
        expect(
          ring.next.every(({ partition, from, to }) => ring.owners[partition] === from && from !== to && names.has(to)),
        ).toBe(true);
      }
      const done = finished(ring);
      const spread = counts(done.owners);
      expect((spread[0] as number) - (spread.at(-1) as number)).toBeLessThanOrEqual(1);
      expect(crowded(done.owners, 4)).toEqual([]);
      expect(done.members.some(({ status }) => status === 'leaving')).toBe(false);
    }
  });
});

describe('a small cluster that grows', () => {
  it('is a ring at every size', () => {
    let ring = born(1);
    for (let size = 2; size <= 8; size++) {
      ring = finished(committed(ring, { join: [{ name: `n${size}` }] }));
      expect(ring.members).toHaveLength(size);
      expect((counts(ring.owners)[0] as number) - (counts(ring.owners).at(-1) as number)).toBeLessThanOrEqual(1);
      if (size >= 4) expect(crowded(ring.owners, 4)).toEqual([]);
    }
  });
});
