import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sync } from '../../src/actors/dvv.ts';
import { ReadQuorum } from '../../src/actors/read-quorum.ts';
import { encodeSet } from '../../src/actors/version-codec.ts';
import { WriteQuorum } from '../../src/actors/write-quorum.ts';
import { TroupeError } from '../../src/errors.ts';
import { grave, setOf, sibling } from './records.ts';

const three = ['n1', 'n2', 'n3'];
const plan = (nodes: readonly string[], wanted: number) => ({ nodes, wanted, deadline: 1_000 });
const full = new TroupeError('DISK_FULL', 'no room');
const lost = new TroupeError('UNKNOWN_OUTCOME', 'no answer');

function asked(nodes: readonly string[], wanted: number): WriteQuorum {
  const write = new WriteQuorum(plan(nodes, wanted));
  for (const slot of nodes.keys()) write.ask(slot);
  return write;
}

describe('a write', () => {
  it('to one replica is done with its one acknowledgement', () => {
    const write = asked(['n1'], 1);
    expect(write.verdict).toBe('pending');
    expect(write.onAck(0)).toBe('done');
    expect(write.acks).toBe(1);
  });

  it('is done with w acknowledgements, and later ones still count', () => {
    const write = asked(three, 2);
    expect(write.onAck(2)).toBe('pending');
    expect(write.onAck(0)).toBe('done');
    expect(write.onAck(1)).toBe('done');
    expect(write.acks).toBe(3);
  });

  it('counts an acknowledgement that comes twice once (B9)', () => {
    const write = asked(three, 2);
    write.onAck(0);
    expect(write.onAck(0)).toBe('pending');
    expect(write.acks).toBe(1);
  });

  it('counts a node that stands in for a second replica once (A-41)', () => {
    const write = asked(['n1', 'n2', 'n1'], 2);
    write.onAck(0);
    expect(write.onAck(2)).toBe('pending');
    expect(write.onAck(1)).toBe('done');
  });

  it('a node one of whose two slots failed still counts by the other', () => {
    const write = asked(['n1', 'n2', 'n1'], 2);
    write.onError(0, full);
    write.onAck(2);
    expect(write.onAck(1)).toBe('done');
  });

  it('fails as soon as w can no longer be reached, without waiting for the deadline', () => {
    const write = asked(three, 2);
    expect(write.onError(0, full)).toBe('pending');
    expect(write.onError(1, full)).toBe('failed');
    expect(write.failure()).toMatchObject({
      code: 'QUORUM',
      details: { option: 'w', needed: 2, got: 0, failed: { n1: 'DISK_FULL', n2: 'DISK_FULL' }, waiting: ['n3'] },
    });
  });

  it('with w above the number of different nodes fails before anything is sent (A-15)', () => {
    const write = new WriteQuorum(plan(['n1', 'n2', 'n1'], 3));
    expect(write.verdict).toBe('failed');
    expect(write.outcome).toBe('failed');
    expect(write.failure()).toMatchObject({ code: 'QUORUM', outcome: 'failed', details: { needed: 3, available: 2 } });
  });

  it('fails at its deadline and not before, and names who did not answer', () => {
    const write = asked(three, 2);
    write.onAck(0);
    expect(write.tick(999)).toBe('pending');
    expect(write.tick(1_000)).toBe('failed');
    const failure = write.failure();
    expect(failure).toMatchObject({
      code: 'QUORUM',
      outcome: 'unknown',
      details: { needed: 2, got: 1, waiting: ['n2', 'n3'] },
    });
    expect(failure.message).toContain('n2: no answer in time');
  });

  it('keeps its verdict whatever comes later', () => {
    const late = asked(three, 2);
    late.tick(1_000);
    late.onAck(0);
    expect(late.onAck(1)).toBe('failed');
    const done = asked(['n1'], 1);
    done.onAck(0);
    expect(done.onError(0, lost)).toBe('done');
    expect(done.tick(2_000)).toBe('done');
  });

  it.each([
    [
      'every replica that was asked definitely did not write',
      (w: WriteQuorum) => [0, 1, 2].map(s => w.onError(s, full)),
      'failed',
    ],
    ['one has written', (w: WriteQuorum) => [w.onAck(0), w.onError(1, full), w.onError(2, full)], 'unknown'],
    ['one has not answered', (w: WriteQuorum) => [w.onError(0, full), w.onError(1, full)], 'unknown'],
    ['one does not know', (w: WriteQuorum) => [w.onError(0, full), w.onError(1, lost), w.onError(2, full)], 'unknown'],
  ])('has the outcome of its replicas: %s', (_, feed, outcome) => {
    const write = asked(three, 2);
    feed(write);
    expect(write.verdict).toBe('failed');
    expect(write.outcome).toBe(outcome);
    expect(write.failure().outcome).toBe(outcome);
  });

  it('that never left for the replicas still open definitely did not happen', () => {
    const write = new WriteQuorum(plan(three, 3));
    write.ask(0);
    write.onError(0, full);
    expect(write.verdict).toBe('failed');
    expect(write.outcome).toBe('failed');
  });

  it('passes on what all replicas say alike, as one node would', () => {
    const single = asked(['n1'], 1);
    single.onError(0, full);
    expect(single.failure()).toBe(full);
    const all = asked(three, 2);
    for (const slot of [0, 1, 2]) all.onError(slot, full);
    expect(all.failure().code).toBe('DISK_FULL');
    const mixed = asked(three, 2);
    mixed.onError(0, full);
    mixed.onError(1, lost);
    mixed.onError(2, full);
    expect(mixed.failure().code).toBe('QUORUM');
  });

  it('agrees with counting by hand, in any order of answers', () => {
    const event = fc.record({ slot: fc.nat(4), ok: fc.boolean() });
    const nodes = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(nodes, fc.integer({ min: 1, max: 5 }), fc.array(event, { maxLength: 12 }), (list, wanted, events) => {
        const write = asked(list, wanted);
        const answered = new Map<number, boolean>();
        const verdictByHand = () => {
          const acked = new Set(list.filter((_, slot) => answered.get(slot) === true));
          const possible = new Set(list.filter((_, slot) => answered.get(slot) !== false));
          return acked.size >= wanted ? 'done' : possible.size < wanted ? 'failed' : 'pending';
        };
        let expected = verdictByHand();
        expect(write.verdict).toBe(expected);
        for (const { slot, ok } of events) {
          if (slot < list.length && !answered.has(slot)) answered.set(slot, ok);
          if (expected === 'pending') expected = verdictByHand();
          expect(ok ? write.onAck(slot) : write.onError(slot, full)).toBe(expected);
        }
        expect(write.acks).toBe(new Set(list.filter((_, slot) => answered.get(slot) === true)).size);
      }),
      { seed: 39, numRuns: 500 },
    );
  });
});

describe('a read', () => {
  const v1 = setOf(['a', 1, [[1, sibling('v1')]]]);
  const v2 = setOf(['a', 2, [[2, sibling('v2', { stamp: { ms: 2_000, tick: 0 } })]]]);
  const other = setOf(['b', 1, [[1, sibling('w')]]]);

  it('of one replica is done with its answer, and "nothing there" is one', () => {
    const read = new ReadQuorum(plan(['n1'], 1));
    expect(read.onSet(0, undefined)).toBe('done');
    expect(read.merged().size).toBe(0);
    expect(read.stale()).toEqual([]);
  });

  it('joins what the replicas say, and knows who is behind', () => {
    const read = new ReadQuorum(plan(three, 2));
    expect(read.onSet(0, v1)).toBe('pending');
    expect(read.onSet(1, v2)).toBe('done');
    expect(read.merged()).toEqual(v2);
    expect(read.stale()).toEqual([0]);
    read.onSet(2, undefined);
    expect(read.stale()).toEqual([0, 2]);
    expect(read.replies).toBe(3);
    expect(read.settled).toBe(true);
  });

  it('of concurrent values shows both, and both replicas are behind (A-123)', () => {
    const read = new ReadQuorum(plan(three, 3));
    read.onSet(0, v2);
    read.onSet(1, other);
    read.onSet(2, sync(v2, other));
    expect(encodeSet(read.merged())).toEqual(encodeSet(sync(other, v2)));
    expect(read.stale()).toEqual([0, 1]);
  });

  it('in a last-writer-wins store shows the winner', () => {
    const read = new ReadQuorum(plan(three, 2), false);
    read.onSet(0, other);
    read.onSet(1, v2);
    expect([...read.merged()].flatMap(([, entry]) => entry.values)).toEqual([...v2.values()].flatMap(e => e.values));
    expect(read.stale()).toEqual([0, 1]);
  });

  it('lets a tombstone win over the value it deleted', () => {
    const read = new ReadQuorum(plan(three, 2));
    read.onSet(0, v1);
    read.onSet(1, setOf(['a', 2, [[2, grave()]]]));
    expect([...read.merged().values()].flatMap(e => e.values)).toEqual([grave()]);
  });

  it('counts nodes and not answers, and a second answer of a replica changes nothing', () => {
    const read = new ReadQuorum(plan(['n1', 'n1', 'n2'], 2));
    read.onSet(0, v1);
    expect(read.onSet(1, v1)).toBe('pending');
    read.onSet(0, v2);
    expect(read.merged()).toEqual(v1);
    expect(read.onSet(2, v1)).toBe('done');
  });

  it('that fails, fails definitely: it changed nothing', () => {
    const read = new ReadQuorum(plan(three, 2));
    read.onSet(0, v1);
    read.onError(1, lost);
    expect(read.onError(2, new TroupeError('CORRUPT', 'bit rot'))).toBe('failed');
    expect(read.failure()).toMatchObject({
      code: 'QUORUM',
      outcome: 'failed',
      details: { option: 'r', needed: 2, got: 1, failed: { n2: 'UNKNOWN_OUTCOME', n3: 'CORRUPT' } },
    });
    const late = new ReadQuorum(plan(three, 2));
    expect(late.tick(1_000)).toBe('failed');
  });

  it('passes on the error of its only replica', () => {
    const read = new ReadQuorum(plan(['n1'], 1));
    const rot = new TroupeError('CORRUPT', 'bit rot');
    expect(read.onError(0, rot)).toBe('failed');
    expect(read.failure()).toBe(rot);
  });
});
