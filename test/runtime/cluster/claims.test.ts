// What shall become of the ring: plans that are committed, members that are taken in and out, transfers that are shown, a node that
// leaves. No data moves here: the test hands on what is to change hands, when it likes.

import { afterEach, describe, expect, it } from 'vitest';
import type { TransferStatus } from '../../../src/runtime/cluster/handoff-hooks.ts';
import { ClusterKit, type ClusterKitOptions, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { LogT } from '../gateway/actors.ts';

let kit: ClusterKit;
afterEach(() => kit.close());

const rows = new Map<string, TransferStatus[]>();

async function start(count: number, started = count, options: Partial<ClusterKitOptions> = {}): Promise<void> {
  rows.clear();
  const handoffs: ClusterKitOptions['handoffs'] = (_cluster, name) => ({
    before: () => undefined,
    after: () => undefined,
    ringChanged: () => undefined,
    status: () => rows.get(name) ?? [],
  });
  kit = new ClusterKit(count, { actors: [LogT], partitions: 16, handoffs, ...options });
  await kit.start(kit.nodes.slice(0, started).map(({ name }) => name));
  await kit.clock.advance(1_000);
}
const node = (name: string): KitNode => kit.node(name);
const ringAt = (name: string): ReturnType<KitNode['cluster']['ring']> => node(name).cluster.ring();
const owning = (at: string, name: string): number => ringAt(at).owners.filter(owner => owner === name).length;
const live = (): KitNode[] => kit.nodes.filter(({ isUp }) => isUp);
const isOne = (): boolean => new Set(live().map(({ cluster }) => JSON.stringify(cluster.ring()))).size === 1;
const membersOf = (at: string): string[] =>
  (node(at).cluster.effectiveRing()?.members ?? []).map(({ name, status }) => `${name} ${status}`);
async function until(what: string, holds: () => boolean, withinMs = 120_000): Promise<void> {
  for (let ms = 0; ms < withinMs; ms += 100) {
    if (holds()) return;
    await kit.clock.advance(100);
  }
  throw new Error(`not within ${withinMs} ms: ${what}`);
}
const trouble = (asked: Promise<unknown>): Promise<any> =>
  kit.run(
    asked.then(
      () => 'done',
      error => ({ code: error.code, retryable: error.retryable, ...error.details }),
    ),
  );
/** Every node hands on what the ring wishes, until nothing is left to wish. */
async function moveAll(): Promise<void> {
  await until('nothing is pending', () => {
    for (const { name, cluster } of live()) {
      for (const { from, to, partition } of cluster.effectiveRing()?.next ?? [])
        if (from === name) cluster.handOn(partition, to).catch(() => undefined);
    }
    return live().every(({ cluster }) => cluster.ring().next.length === 0);
  });
}

describe('a plan that is committed', () => {
  it.each(['n1', 'n2', 'n3'])(
    'on %s is written by the claimant and the ring of all; owners stay until each hands on',
    async by => {
      await start(3);
      const { owners, epoch } = ringAt('n1');
      const planned = node(by).cluster.plan({ weights: { n3: 0.5 } });
      expect(planned.transfers.length).toBeGreaterThan(0);
      const committed = await kit.run(node(by).cluster.commit(planned));
      expect(committed.epoch).toBe(epoch + 1);
      await kit.clock.advance(200);
      expect(isOne()).toBe(true);
      expect(node('n3').cluster.describe().ring).toMatchObject({ ...committed, pending: planned.transfers.length });
      expect(ringAt('n3').owners).toEqual(owners);
      await moveAll();
      expect(ringAt('n2').owners).toEqual(planned.ring.owners);
      expect(isOne()).toBe(true);
    },
  );

  it('is refused for another ring than it was made for, or when it was altered', async () => {
    await start(3);
    const [first, second] = [{ n3: 0.5 }, { n2: 0.5 }].map(weights => node('n2').cluster.plan({ weights }));
    const altered = { ...first, transfers: first?.transfers.slice(1) } as typeof first;
    expect(await trouble(node('n2').cluster.commit(altered as never))).toMatchObject({
      code: 'BAD_OPTION',
      reason: 'plan-changed',
    });
    expect(await trouble(node('n2').cluster.commit(first as never))).toBe('done');
    expect(await trouble(node('n2').cluster.commit(second as never))).toMatchObject({ reason: 'plan-changed' });
    expect(await trouble(node('n2').cluster.commit({} as never))).toMatchObject({
      code: 'BAD_OPTION',
      reason: 'bad-change',
    });
  });

  it('waits for members that are up and have not heard of the ring there is, by name', async () => {
    await start(3);
    const { cluster } = node('n1');
    const first = node('n1').cluster.commit(cluster.plan({ weights: { n2: 0.5 } }));
    await kit.settle();
    const second = cluster.commit(cluster.plan({ weights: { n3: 0.5 } }));
    expect(await trouble(second)).toEqual({
      ...{ code: 'OVERLOADED', retryable: true },
      ...{ reason: 'ring-not-ready', waitingFor: ['n2', 'n3'] },
    });
    await first;
    await kit.clock.advance(3_000);
    expect(await trouble(cluster.commit(cluster.plan({ weights: { n3: 0.5 } })))).toBe('done');
  });

  it('does not wait for a member that is dead, which takes the claim when it is back', async () => {
    await start(3);
    await kit.crash('n3', { silent: true });
    await until('n3 is down', () => ['n1', 'n2'].every(name => !node(name).cluster.isUp('n3')));
    await until('both know', () =>
      ['n1', 'n2'].every(name =>
        node(name)
          .members()
          .some(each => each.name === 'n3' && each.status === 'down'),
      ),
    );
    const { cluster } = node('n2');
    const planned = cluster.plan({ weights: { n3: 0.5 } });
    expect(await trouble(cluster.commit(planned))).toBe('done');
    await kit.restart('n3');
    await until('all hold it', () => isOne() && ringAt('n3').next.length > 0);
    await moveAll();
    expect(ringAt('n3').owners).toEqual(planned.ring.owners);
  });

  it('is refused, to be tried again, where nobody who may write is seen', async () => {
    await start(3, 2, { autoJoin: false });
    await kit.restart('n3');
    await kit.run(node('n3').cluster.ready());
    await until(
      'n3 sees both',
      () =>
        node('n3')
          .members()
          .filter(({ status }) => status === 'up').length === 3,
    );
    kit.partition([['n1', 'n2'], ['n3']]);
    await until(
      'n3 sees nobody',
      () =>
        node('n3')
          .members()
          .filter(({ status }) => status === 'up').length === 1,
    );
    const { cluster } = node('n3');
    expect(await trouble(cluster.commit(cluster.plan({ leave: ['n2'] })))).toMatchObject({
      ...{ code: 'OVERLOADED', retryable: true },
    });
  });

  it('is not told when it cannot be stored', async () => {
    await start(3);
    node('n1').disk.diskFull = true;
    const before = JSON.stringify(ringAt('n2'));
    expect(await trouble(node('n2').cluster.commit(node('n2').cluster.plan({ weights: { n3: 0.5 } })))).toMatchObject({
      code: 'DISK_FULL',
    });
    await kit.clock.advance(3_000);
    expect(live().map(({ cluster }) => JSON.stringify(cluster.ring()))).toEqual([before, before, before]);
  });
});

describe('a node that comes later', () => {
  it('is taken into the ring once nothing has changed for a while; owners stay until they hand on', async () => {
    await start(4, 3);
    const { owners } = ringAt('n1');
    await kit.restart('n4');
    await kit.run(node('n4').cluster.ready());
    expect(ringAt('n4').next).toEqual([]);
    await until('it is to get something', () => ringAt('n4').next.some(({ to }) => to === 'n4'), 20_000);
    await kit.clock.advance(10_000);
    expect(isOne()).toBe(true);
    expect(ringAt('n1').owners).toEqual(owners);
    await moveAll();
    expect(isOne()).toBe(true);
    for (const { name } of kit.nodes) expect(owning('n1', name)).toBe(4);
    expect(membersOf('n4')).toEqual(['n1 valid', 'n2 valid', 'n3 valid', 'n4 valid']);
  });

  it('is taken in with others that come at the same time, by one claim', async () => {
    await start(5, 2);
    const { epoch } = ringAt('n1');
    for (const name of ['n3', 'n4', 'n5']) await kit.restart(name);
    await until('all are in', () => membersOf('n1').length === 5);
    expect(ringAt('n1').epoch).toBe(epoch + 1);
  });

  it('is left out where that is said', async () => {
    await start(3, 2, { autoJoin: false });
    await kit.restart('n3');
    await kit.run(node('n3').cluster.ready());
    await kit.clock.advance(30_000);
    expect(membersOf('n3')).toEqual(['n1 valid', 'n2 valid']);
    await kit.run(node('n3').cluster.commit(node('n3').cluster.plan({ join: [{ name: 'n3' }] })));
    await kit.clock.advance(200);
    expect(membersOf('n2')).toEqual(['n1 valid', 'n2 valid', 'n3 valid']);
  });

  it('is taken in by another when the claimant is gone, and the claimant hears of it', async () => {
    await start(4, 3);
    await kit.crash('n1', { silent: true });
    await kit.restart('n4');
    await until('n4 is in', () => membersOf('n4').includes('n4 valid'));
    await kit.restart('n1');
    await until('one ring', isOne);
    expect(membersOf('n1')).toContain('n4 valid');
  });
});

describe('two claimants, each on its side of a cut', () => {
  it('end with one ring in which no partition has been lost, and everybody is a member', async () => {
    await start(6, 4, { partitions: 64 });
    kit.partition([
      ['n1', 'n2', 'n5'],
      ['n3', 'n4', 'n6'],
    ]);
    await kit.clock.advance(60_000);
    await kit.restart('n5');
    await kit.restart('n6');
    const isIn = (at: string, name: string): boolean => membersOf(at).includes(`${name} valid`);
    await until('each side has taken one in', () => isIn('n1', 'n5') && isIn('n3', 'n6'));
    // Some of what each side wishes comes true before they meet again.
    for (const [from, to] of [
      ['n1', 'n5'],
      ['n2', 'n5'],
      ['n3', 'n6'],
    ] as const) {
      const wish = ringAt(from).next.find(each => each.from === from && each.to === to);
      if (wish !== undefined) await kit.run(node(from).cluster.handOn(wish.partition, to));
    }
    expect(owning('n1', 'n5')).toBeGreaterThan(0);
    expect(owning('n3', 'n6')).toBeGreaterThan(0);
    kit.heal();
    await until(
      'all are in',
      () => isOne() && membersOf('n1').filter(each => each.endsWith('valid')).length === 6,
      300_000,
    );
    expect(owning('n4', 'n5')).toBeGreaterThan(0);
    expect(owning('n2', 'n6')).toBeGreaterThan(0);
    await moveAll();
    const counts = kit.nodes.map(({ name }) => owning('n1', name));
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  });
});

describe('a node that leaves', () => {
  it.each(['n1', 'n3'])(
    '(%s) stays until it owns nothing, shows what is pending, and is forgotten then',
    async name => {
      await start(4);
      let left = false;
      const leaving = node(name)
        .cluster.leave()
        .then(() => {
          left = true;
        });
      await until('its partitions are to go', () => ringAt('n2').next.length > 0);
      await kit.clock.advance(5_000);
      expect(left).toBe(false);
      expect(owning('n2', name)).toBe(4);
      const pending = await kit.run(node('n2').cluster.transfers());
      expect(pending.filter(({ from }) => from === name).length).toBe(4);
      expect(
        node('n2')
          .members()
          .find(each => each.name === name)?.status,
      ).toBe('leaving');
      await moveAll();
      await kit.run(leaving);
      expect(owning('n2', name)).toBe(0);
      await kit.run(node(name).stop());
      await until('it is forgotten', () => !membersOf('n2').some(each => each.startsWith(name)));
      await until('one ring', isOne);
      await kit.clock.advance(30_000);
      expect(membersOf('n2').length).toBe(3);
    },
  );

  it('is refused where nobody would be left', async () => {
    await start(1);
    expect(await trouble(node('n1').cluster.leave())).toMatchObject({ code: 'BAD_OPTION', reason: 'nobody-left' });
    await start(2);
    const first = node('n1').cluster.leave();
    await kit.clock.advance(2_000);
    expect(await trouble(node('n2').cluster.leave())).toMatchObject({ code: 'BAD_OPTION', reason: 'nobody-left' });
    await moveAll();
    await kit.run(first);
    expect(owning('n2', 'n2')).toBe(16);
  });

  it('and comes back later, joins as anybody else', async () => {
    await start(3);
    const leaving = node('n2').cluster.leave();
    await kit.clock.advance(2_000);
    await moveAll();
    await kit.run(leaving);
    await kit.run(node('n2').stop());
    await until('it is forgotten', () => membersOf('n1').length === 2);
    await kit.restart('n2');
    await until('it is to get something', () => ringAt('n1').next.some(({ to }) => to === 'n2'));
    await moveAll();
    expect(owning('n3', 'n2')).toBeGreaterThan(4);
  });

  it('ends with the node when it is stopped before', async () => {
    await start(2);
    const leaving = trouble(node('n2').cluster.leave());
    await kit.clock.advance(1_000);
    await kit.run(node('n2').stop());
    await kit.clock.advance(1_000);
    expect(await leaving).toMatchObject({ code: 'STOPPED' });
  });
});

describe('transfers that are pending', () => {
  it('are shown as their giver says, or with the reason why it says nothing', async () => {
    await start(3);
    await kit.run(node('n1').cluster.commit(node('n1').cluster.plan({ leave: ['n3'] })));
    await kit.clock.advance(200);
    const { next } = ringAt('n1');
    const row = { ...next[0], phase: 'copying', bytes: 7, records: 1, etaMs: 10, why: null } as TransferStatus;
    rows.set('n3', [row]);
    const shown = await kit.run(node('n2').cluster.transfers());
    expect(shown.length).toBe(next.length);
    expect(shown[0]).toEqual(row);
    expect(shown[1]).toEqual({
      ...next[1],
      ...{ phase: 'pending', bytes: 0, records: 0, etaMs: null },
      why: 'n3 has not heard of it yet',
    });
    expect(await kit.run(node('n3').cluster.transfers())).toEqual(shown);
    kit.partition([['n1', 'n2'], ['n3']]);
    const late = await kit.run(node('n2').cluster.transfers());
    expect(late[0]?.why).toMatch(/^n3 has not answered within 2000 ms$/);
    await until('n3 is down', () =>
      node('n2')
        .members()
        .some(each => each.name === 'n3' && each.status === 'down'),
    );
    await kit.clock.advance(61_000);
    expect((await kit.run(node('n2').cluster.transfers()))[0]?.why).toBe('n3 is down');
  });
});
