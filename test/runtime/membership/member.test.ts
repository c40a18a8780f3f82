// Records join in any order to the same; silence becomes a number; vectors of research/behaviours.md 4.8.

import { describe, expect, it } from 'vitest';
import { checkMessage, checkRecord } from '../../../src/runtime/membership/gossip-messages.ts';
import { beat, type MemberRecord, merge } from '../../../src/runtime/membership/member.ts';
import { PauseGuard, PhiWindow } from '../../../src/runtime/membership/phi-accrual.ts';
import { ReportExpiry, verdict } from '../../../src/runtime/membership/suspicion.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';

const plain: MemberRecord = {
  name: 'n2',
  incarnation: 1,
  version: 1,
  heartbeat: 1,
  status: 'up',
  address: 'n2:1',
  zone: 'z1',
  rack: 'r1',
  weight: 1,
  capacity: 1,
  protocol: [1, 1],
  app: undefined,
  suspicions: [],
  down: false,
  removed: false,
};

describe('a member record', () => {
  it('joins commutatively, associatively and idempotently, 20,000 random triples', () => {
    const { u32 } = seededRandom(1);
    const below = (n: number): number => u32() % n;
    const any = (): MemberRecord => ({
      ...plain,
      incarnation: below(2),
      version: below(3),
      heartbeat: below(3),
      status: (['joining', 'up', 'left'] as const)[below(3)] as 'up',
      weight: 1 + below(2),
      suspicions: ['a', 'b', 'c', 'd', 'e', 'f'].flatMap(by => (below(2) ? [{ by, seq: below(3) }] : [])).slice(0, 4),
      down: below(2) === 1,
      removed: below(4) === 0,
    });
    for (let round = 0; round < 20_000; round++) {
      const [a, b, c] = [any(), any(), any()];
      expect(merge(a, b)).toEqual(merge(b, a));
      expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)));
      expect(merge(a, a)).toBe(a);
    }
  });

  it('takes heartbeat 9912 over 9910 and ignores 9908; a new incarnation beats any heartbeat', () => {
    const held = { ...plain, heartbeat: 9_910 };
    expect(merge(held, { ...plain, heartbeat: 9_908 })).toBe(held);
    expect(merge(held, { ...plain, heartbeat: 9_912 }).heartbeat).toBe(9_912);
    expect(merge(held, { ...plain, incarnation: 2, heartbeat: 1 })).toMatchObject({ incarnation: 2, heartbeat: 1 });
    expect(merge({ ...plain, incarnation: 2 }, { ...plain, heartbeat: 5_000 })).toMatchObject({
      incarnation: 2,
      heartbeat: 1,
    });
  });

  const app = { epoch: 1, hash: 'a', blob: 'x' };
  it.each([
    ['status', { status: 'leaving' }],
    ['address', { address: 'n2:2' }],
    ['zone', { zone: 'z2' }],
    ['rack', { rack: 'r2' }],
    ['weight', { weight: 2 }],
    ['capacity', { capacity: 2 }],
    ['oldest protocol', { protocol: [0, 1] }],
    ['newest protocol', { protocol: [1, 2] }],
    ['epoch', { app: { ...app, epoch: 2 } }],
    ['hash', { app: { ...app, hash: 'b' } }],
    ['blob', { app: { ...app, blob: 'y' } }],
    ['lack of app', { app: undefined }],
  ] as const)('of one version and two contents becomes the same one everywhere: %s', (_, change) => {
    const [one, other] = [
      { ...plain, app },
      { ...plain, app, ...change },
    ];
    expect(merge(one, other)).toEqual(merge(other, one));
    expect([one, other]).toContainEqual(merge(one, other));
  });

  it('keeps as many reports as others accept, the first by name', () => {
    const by = (...names: string[]) => ({ ...plain, suspicions: names.map(by => ({ by, seq: 1 })) });
    const merged = merge(by('b', 'd', 'f'), by('a', 'c', 'e'));
    expect(merged.suspicions.map(({ by }) => by)).toEqual(['a', 'b', 'c', 'd']);
    expect(checkRecord(merged)).toEqual(merged);
  });

  it('loses what was held against it with a later heartbeat, except its removal', () => {
    const accused = { ...plain, down: true, removed: true, suspicions: [{ by: 'n1', seq: 4 }] };
    expect(beat(accused, 2)).toMatchObject({ heartbeat: 2, down: false, removed: true, suspicions: [] });
    expect(merge(accused, { ...plain, heartbeat: 2 })).toMatchObject({ down: false, removed: true, suspicions: [] });
    expect(beat(accused, 1)).toBe(accused);
  });
});

describe('phi', () => {
  const everySecond = (mean: number): PhiWindow => {
    const window = new PhiWindow(mean, 0);
    for (let at = 1; at <= 100; at++) window.heard(at * mean, 2 * mean);
    return window;
  };
  it.each([
    [5, 2.171],
    [10, 4.343],
    [18.42, 8],
  ])('after %d x the mean is %d', (silence, phi) => {
    expect(everySecond(1_000).phi(100_000 + silence * 1_000)).toBeCloseTo(phi, 2);
    expect(everySecond(500).phi(50_000 + silence * 500)).toBeCloseTo(phi, 2);
  });
  it('does not take an outage for an interval', () => {
    const window = everySecond(1_000);
    window.heard(160_000, 2_000);
    expect(window.meanMs).toBe(1_000);
    expect(window.phi(160_000)).toBe(0);
  });
  it('forgets samples beyond its window', () => {
    const window = new PhiWindow(2_000, 0);
    for (let at = 1; at <= 2_000; at++) window.heard(at * 500, 2_000);
    expect(window.meanMs).toBe(500);
  });
  it('forgives a pause up to now, and no further', () => {
    const window = everySecond(1_000);
    window.forgive(300, 100_500);
    expect(window.lastAt).toBe(100_300);
    window.forgive(20_000, 100_500);
    expect(window.lastAt).toBe(100_500);
  });
  it('is not trusted in the round after a pause and the one after that', () => {
    const guard = new PauseGuard(1_000, 5_000, 0);
    const rounds = [1_000, 6_900, 27_000, 28_000, 29_000].map(now => guard.round(now));
    expect(rounds.map(({ trusted }) => trusted)).toEqual([true, true, false, false, true]);
    expect(rounds[2]?.pausedMs).toBe(19_100);
  });
});

describe('suspicion', () => {
  it.each([
    [{ suspect: true, reporters: 1, others: 3, probeFailed: true }, 'suspect'],
    [{ suspect: false, reporters: 1, others: 3, probeFailed: true }, 'alive'],
    [{ suspect: false, reporters: 2, others: 3, probeFailed: false }, 'down'],
    [{ suspect: true, reporters: 1, others: 0, probeFailed: false }, 'suspect'],
    [{ suspect: true, reporters: 1, others: 0, probeFailed: true }, 'down'],
  ] as const)('%o is %s', (evidence, expected) => {
    expect(verdict(evidence)).toBe(expected);
  });
  it('counts a reporter once, until it expires, and never the suspect', () => {
    const reports = new ReportExpiry();
    const record = {
      ...plain,
      suspicions: [
        { by: 'n1', seq: 1 },
        { by: 'n2', seq: 1 },
      ],
    };
    reports.noted(record, 100, 0);
    reports.noted(record, 100, 90);
    expect(reports.reporters(record, 99)).toEqual(['n1']);
    expect(reports.reporters(record, 100)).toEqual([]);
  });
});

describe('a message', () => {
  it.each([
    null,
    7,
    [],
    {},
    { cluster: 'c', from: '__proto__', incarnation: 1, body: { type: 'ping', seq: 1 } },
    { cluster: 'c', from: 'n1', incarnation: -1, body: { type: 'ping', seq: 1 } },
    { cluster: 'c', from: 'n1', incarnation: 1, body: { type: 'nothing' } },
    {
      cluster: 'c',
      from: 'n1',
      incarnation: 1,
      body: { type: 'syn', seq: 1, count: 1, digests: new Array(65).fill(['a', 1, 1, 1, 0]) },
    },
    {
      cluster: 'c',
      from: 'n1',
      incarnation: 1,
      body: { type: 'syn', seq: 1, count: 1, digests: [['a', 1, 1, Number.NaN, 0]] },
    },
    { cluster: 'c', from: 'n1', incarnation: 1, body: { type: 'states', states: [{ ...plain, weight: -1 }] } },
  ])('that is mangled is refused: %j', raw => {
    expect(checkMessage(raw)).toBeUndefined();
  });
  it('keeps nothing it does not know', () => {
    expect(checkRecord({ ...plain, extra: 1 })).toEqual(plain);
  });
});
