// Nodes that find each other, agree on a ring, and send by it: on the simulated network.

import { afterEach, describe, expect, it } from 'vitest';
import { ownersPatienceMs } from '../../../src/limits.ts';
import { call, tell } from '../../../src/runtime/refs.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { AtT, LogT } from '../gateway/actors.ts';
import { NotebookT } from './notebook.ts';

let kit: ClusterKit;
afterEach(() => kit.close());

/** Who comes later gets nothing here: that is for claims.test.ts. */
async function start(count: number, started = count, seed = 1): Promise<void> {
  kit = new ClusterKit(count, { actors: [LogT, AtT, NotebookT], seed, autoJoin: false });
  await kit.start(kit.nodes.slice(0, started).map(({ name }) => name));
}
const node = (name: string): KitNode => kit.node(name);
const statuses = (at: string): string[] =>
  node(at)
    .members()
    .map(({ name, status }) => `${name} ${status}`)
    .sort();
const codeOf = (asked: Promise<unknown>): Promise<unknown> => kit.run(asked.catch(error => error.code));
/** A key whose partition that node owns. */
function keyOf(owner: string): string {
  for (let i = 0; ; i++) if (node(owner).cluster.preference(`k${i}`, 1)[0] === owner) return `k${i}`;
}
async function until(what: string, holds: () => boolean, withinMs = 60_000): Promise<number> {
  for (let ms = 0; ms < withinMs; ms += 100) {
    if (holds()) return ms;
    await kit.clock.advance(100);
  }
  throw new Error(`not within ${withinMs} ms: ${what}`);
}

describe('three nodes that join each other', () => {
  it.each([1, 2, 3, 4, 5])('all see all, and go by one ring in which each owns its share (seed %i)', async seed => {
    await start(3, 3, seed);
    const rings = kit.nodes.map(each => each.cluster.ring());
    expect(new Set(rings.map(ring => JSON.stringify(ring))).size).toBe(1);
    const counts = kit.nodes.map(({ name }) => rings[0]?.owners.filter(owner => owner === name).length as number);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    for (const { name } of kit.nodes) expect(statuses(name)).toEqual(['n1 up', 'n2 up', 'n3 up']);
  });

  it("reach each other's actors, each of which runs once, where the ring says", async () => {
    await start(3);
    for (let i = 0; i < 12; i++) {
      const key = `key-${i}`;
      for (const each of kit.nodes) await kit.run(each.ref(LogT, key).hear(each.name));
      const runners = kit.nodes.filter(each => each.runs(LogT, key)).map(({ name }) => name);
      expect(runners).toEqual(node('n1').cluster.preference(key, 1));
    }
  });

  it('are told of as events', async () => {
    await start(3);
    const names = node('n1').events.map(({ name }) => name);
    expect(names.filter(name => name === 'member-up').length).toBe(2);
    expect(names).toContain('ring-changed');
  });
});

describe('four nodes that start together', () => {
  it.each([28, 59, 60, 61])('found one cluster, whoever hears of whom first (seed %i)', async seed => {
    const faults = { delayMs: 4, jitterMs: 10, chunkMax: seed % 3 === 0 ? 700 : 0 };
    kit = new ClusterKit(4, { actors: [], seed, partitions: 16, faults });
    await kit.start();
    expect(new Set(kit.nodes.map(each => JSON.stringify(each.cluster.ring()))).size).toBe(1);
  });
});

describe('a node that comes later', () => {
  it('takes the ring that is there, owns nothing, and reaches everything', async () => {
    await start(4, 3);
    await kit.restart('n4');
    await kit.run(node('n4').cluster.ready());
    expect(node('n4').cluster.ring()).toEqual(node('n1').cluster.ring());
    const key = keyOf('n2');
    await kit.run(node('n4').ref(LogT, key).hear('from n4'));
    expect(await kit.run(node('n1').ref(LogT, key).all())).toEqual(['from n4']);
    await until('n1 sees n4', () => statuses('n1').includes('n4 up'));
    await kit.run(node('n1').ref(AtT, 'n4').hear('to n4'));
    expect(node('n4').runs(AtT, 'n4')).toBe(true);
  });
});

describe('a node that comes back to its ring', () => {
  it('is ready when it reaches the owners, and no later than a few seconds when they do not come', async () => {
    await start(3);
    node('n1').crash(false);
    await kit.restart('n1');
    await kit.run(node('n1').cluster.ready());
    expect(await kit.run(node('n1').ref(LogT, keyOf('n2')).hear('at once'))).toBeDefined();
    for (const { name } of kit.nodes) node(name).crash(false);
    const before = kit.clock.mono();
    await kit.restart('n1');
    await kit.run(node('n1').cluster.ready(), 30_000);
    expect(kit.clock.mono() - before).toBeLessThan(2 * ownersPatienceMs);
  });
});

describe('who founds on a full disk', () => {
  it('goes on, tries again, and founds when there is room', async () => {
    kit = new ClusterKit(3, { actors: [LogT, AtT, NotebookT] });
    node('n1').disk.diskFull = true;
    const starting = kit.start().then(
      () => 'started',
      error => error.code,
    );
    await kit.clock.advance(20_000);
    expect(statuses('n2')).toEqual(['n1 up', 'n2 up', 'n3 up']);
    expect(() => node('n1').cluster.ring()).toThrow(/has not joined a ring yet/);
    node('n1').disk.diskFull = false;
    expect(await starting).toBe('started');
    expect(node('n3').cluster.ring()).toEqual(node('n1').cluster.ring());
  });
});

describe('a plan', () => {
  it('shows what a newcomer would take, from whom, the same everywhere, and changes nothing', async () => {
    await start(4, 3);
    await kit.restart('n4');
    await kit.run(node('n4').cluster.ready());
    const before = JSON.stringify(node('n1').cluster.ring());
    const plans = kit.nodes.map(each => each.cluster.plan({ join: [{ name: 'n4' }] }));
    expect(new Set(plans.map(({ hash }) => hash)).size).toBe(1);
    // A quarter for the newcomer; the rest moves so that any four partitions in a row lie on four nodes.
    const transfers = plans[0]?.transfers ?? [];
    expect(transfers.filter(({ to }) => to === 'n4').length).toBe(16);
    expect(transfers.every(({ to, reason }) => to === 'n4' || reason === 'spacing')).toBe(true);
    expect(JSON.stringify(node('n1').cluster.ring())).toBe(before);
  });

  it('takes a newcomer by its name, and what else it is from gossip', async () => {
    await start(4, 3);
    await kit.restart('n4');
    await kit.run(node('n4').cluster.ready());
    const { cluster } = node('n1');
    const member = (changes: object) => cluster.plan(changes).ring.members.find(({ name }) => name === 'n4');
    const { zone, rack, weight } = cluster.members().find(({ name }) => name === 'n4') ?? {};
    expect(member({ join: ['n4'] })).toEqual({ name: 'n4', status: 'valid', weight, zone, rack });
    expect(cluster.plan({ join: ['n4'] }).hash).toBe(cluster.plan({ join: [{ name: 'n4' }] }).hash);
    expect(member({ join: [{ name: 'n4', zone: 'z9', weight: undefined }] })).toMatchObject({
      zone: 'z9',
      weight,
      rack,
    });
    expect(member({ replace: { n3: 'n4' } })).toMatchObject({ status: 'valid', zone });
    // Nobody knows it yet: it takes the place as it is.
    const { members } = cluster.plan({ replace: { n3: { name: 'n7' } } }).ring;
    const old = cluster.members().find(({ name }) => name === 'n3');
    expect(members.find(({ name }) => name === 'n7')).toMatchObject({ zone: old?.zone, rack: old?.rack });
  });

  it('that cannot be says why', async () => {
    await start(2);
    const refused = (changes: object): unknown => {
      try {
        return node('n1').cluster.plan(changes);
      } catch (error) {
        return (error as { details: { reason: string } }).details.reason;
      }
    };
    const failed = (changes: object, options?: object | null): unknown => {
      try {
        return node('n1').cluster.plan(changes, options as object | undefined);
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(refused({})).toBe('nothing-to-change');
    expect(refused({ leave: ['n9'] })).toBe('unknown-member');
    expect(refused({ join: [{ name: 'n1' }] })).toBe('already-member');
    expect(refused({ leave: ['n1', 'n2'] })).toBe('nobody-left');
    expect(refused({ join: ['n9'] })).toBe('unknown-member');
    expect(refused({ replace: { n1: 'n9' } })).toBe('unknown-member');
    const nonsense: object[] = [
      ...[null, 7, 'n3', [], { joins: ['n3'] }],
      ...[
        { join: 'n3' },
        { join: [null] },
        { join: [{ name: 'n3', zones: 'z' }] },
        { join: [{ name: 'n3', zone: 3 }] },
      ],
      ...[{ leave: 'n1' }, { weights: [] }, { weights: null }, { replace: ['n1'] }],
    ] as object[];
    for (const changes of nonsense) expect([changes, refused(changes)]).toEqual([changes, 'bad-change']);
    // Names that no node can have: who says them means something else.
    for (const changes of [{ join: [{}] }, { join: ['N 3'] }, { leave: [undefined] }, { weights: { 'N 3': 1 } }])
      expect([changes, failed(changes)]).toEqual([changes, 'BAD_OPTION']);
    for (const options of [null, { space: 1 }, { spacing: 0 }, { spacing: '2' }, { spread: 1 }])
      expect([options, failed({ weights: { n1: 2 } }, options)]).toEqual([options, 'BAD_OPTION']);
  });
});

describe('a node that dies', () => {
  it('is down after a while, takes nobody along, and is back with its ring and its data', async () => {
    await start(3);
    const key = keyOf('n2');
    expect(await kit.run(node('n1').ref(NotebookT, key).write('kept'))).toBe(1);
    await kit.crash('n2', { silent: true });
    await until('n2 is down', () => statuses('n1').includes('n2 down') && statuses('n3').includes('n2 down'));
    expect(await kit.run(node('n1').ref(LogT, keyOf('n3')).hear('works'))).toBe(1);
    await kit.restart('n2');
    await kit.run(node('n2').cluster.ready());
    await until('n2 is up', () => statuses('n1').includes('n2 up') && statuses('n3').includes('n2 up'));
    expect(await kit.run(node('n3').ref(NotebookT, key).read())).toEqual(['kept']);
  });

  it('leaves no ask open: what was sent is unknown, what is sent later is refused or ends by its deadline', async () => {
    await start(2);
    const ref = node('n1').ref(LogT, keyOf('n2'));
    const open = codeOf(call(ref, { deadlineMs: 60_000 }).never());
    await kit.clock.advance(20);
    await kit.crash('n2');
    await kit.restart('n2');
    expect(await open).toBe('UNKNOWN_OUTCOME');
    expect(await kit.run(ref.hear('again'))).toBe(1);
  });
});

describe('a cut network', () => {
  it('and a link that breaks lose nothing and double nothing while the session lasts', async () => {
    await start(2);
    const ref = node('n1').ref(LogT, keyOf('n2'));
    for (let i = 0; i < 200; i++) {
      tell(ref).hear(i);
      if (i % 40 === 20) kit.network.cut('n1', 'n2');
      if (i % 10 === 0) await kit.clock.advance(5);
    }
    await kit.clock.advance(15_000);
    expect(await kit.run(ref.all())).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  it('heals: both sides see each other again', async () => {
    await start(3);
    kit.partition([['n1'], ['n2', 'n3']]);
    await until('n1 is suspected', () => !statuses('n2').includes('n1 up'));
    expect(await kit.run(node('n2').ref(LogT, keyOf('n3')).hear('majority'))).toBe(1);
    kit.heal();
    await until(
      'all are up',
      () => kit.nodes.every(({ name }) => statuses(name).join() === 'n1 up,n2 up,n3 up'),
      120_000,
    );
    expect(await kit.run(node('n1').ref(LogT, keyOf('n3')).all())).toEqual(['majority']);
  });
});

describe('a stop in good order', () => {
  it('is seen at once, not after a silence', async () => {
    await start(3);
    await kit.run(node('n3').stop());
    expect(await until('n3 is down', () => statuses('n1').includes('n3 down'))).toBeLessThan(3_000);
  });
});

describe('clusters founded apart', () => {
  it('do not mix: each says so, and routes by its own ring', async () => {
    kit = new ClusterKit(4, { actors: [LogT] });
    kit.partition([
      ['n1', 'n2'],
      ['n3', 'n4'],
    ]);
    await kit.start(['n1', 'n2']);
    await kit.start(['n3', 'n4'], ['n1', 'n3', 'n4']);
    const ring = JSON.stringify(node('n1').cluster.ring());
    expect(JSON.stringify(node('n3').cluster.ring())).not.toBe(ring);
    kit.heal();
    await until('the conflict is told', () => node('n1').events.some(({ name }) => name === 'ring-conflict'), 120_000);
    expect(JSON.stringify(node('n1').cluster.ring())).toBe(ring);
  });
});
