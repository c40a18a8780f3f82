// Real nodes with real threads on real sockets, in one process: startNode, ready, refs, stores, stop, start again.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { VnodeT } from '../../src/actors/vnode-actor.ts';
import { freePorts } from '../../src/doors/tour/free-ports.ts';
import { call, type Node, type NodeOptions, startNode, tell } from '../../src/index.ts';
import { LogT } from '../runtime/gateway/actors.ts';
import { until } from '../threads/until.ts';

const nodes = new Map<string, Node>();
const dirs: string[] = [];
afterEach(async () => {
  await Promise.all([...nodes.values()].map(node => node.stop()));
  nodes.clear();
  for (const dir of dirs.splice(0)) await rm(dir, { recursive: true, force: true });
});

/** Who comes later is given nothing, where a test does not say otherwise: what is whose stays as it was founded. */
async function start(name: string, join: string[], options: NodeOptions = {}): Promise<Node> {
  const own = { name, listen: '127.0.0.1:0', join, threads: 1, actors: [LogT], autoJoin: false };
  const node = await startNode({ ...own, ...options });
  nodes.set(name, node);
  return node;
}
async function two(options: NodeOptions = {}): Promise<[Node, Node]> {
  const n1 = await start('n1', [], options);
  const n2 = await start('n2', [n1.cluster.address], options);
  await n2.ready();
  return [n1, n2];
}

describe('two nodes', () => {
  it('the second takes the ring of the first, and reaches what runs on its threads', async () => {
    const [n1, n2] = await two();
    expect(n2.cluster.ring()).toEqual(n1.cluster.ring());
    const ref = n2.ref(LogT, 'a');
    expect(await ref.hear('from n2')).toBe(1);
    expect(await n1.ref(LogT, 'a').all()).toEqual(['from n2']);
    expect(await n2.locate(ref)).toEqual({ node: 'n1', thread: 1, epoch: expect.any(Number) });
    expect(await n2.locate(ref)).toEqual(await n1.locate(n1.ref(LogT, 'a')));
  });

  it('keep the order of a thousand tells and asks, from a thread of one to a thread of the other', async () => {
    const [, n2] = await two();
    const ref = n2.ref(LogT, 'b');
    const asks: Promise<unknown>[] = [];
    for (let i = 0; i < 1_000; i++) {
      if (i % 10 === 0) asks.push(call(ref, { deadlineMs: 20_000 }).hear(i));
      else tell(ref).hear(i);
      if (i % 50 === 0) await asks.at(-1);
    }
    await Promise.all(asks);
    expect(await ref.all()).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
  });

  it('a turn on a thread that floods another node is held back, not cut short', async () => {
    const [n1, n2] = await two();
    const source = n1.ref(LogT, 'source');
    await source.push(n1.ref(LogT, 'sink'), 500);
    await until('500 messages', async () => ((await n2.ref(LogT, 'sink').all()) as unknown[]).length === 500);
    expect(await n2.ref(LogT, 'sink').all()).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });

  it('move actors to each other and back, while threads of both go on talking to them', async () => {
    const [n1, n2] = await two({ threads: 2 });
    for (const name of ['sink-1', 'sink-2', 'sink-3']) {
      const source = n1.ref(LogT, `${name}-source`);
      const rounds = async (): Promise<void> => {
        for (let round = 0; round < 40; round++) await source.push(n1.ref(LogT, name), 25);
      };
      const pushed = rounds();
      for (const to of ['n2', 'n1', 'n2', 'n1']) await n2.relocate(n2.ref(LogT, name), to);
      await pushed;
      await until('all of it', async () => (await n2.ref(LogT, name).all()).length === 1_000);
      expect(await n2.ref(LogT, name).all()).toEqual(Array.from({ length: 1_000 }, (_, i) => i % 25));
    }
  });

  it('a store is one store on both', async () => {
    const [n1, n2] = await two();
    const carts = await n2.store('carts');
    await carts.put('k', { items: ['book'] });
    const same = await n1.store('carts');
    expect((await same.get('k')).value).toEqual({ items: ['book'] });
    await same.put('other', 1);
    const keys: unknown[] = [];
    for await (const { key } of carts.scan()) keys.push(key);
    expect(keys.sort()).toEqual(['k', 'other']);
  });

  it('a record lies on the node that preference() names', async () => {
    const names = ['n1', 'n2', 'n3'];
    const ports = await freePorts(names.length);
    const all = ports.map(port => `127.0.0.1:${port}`);
    const started = await Promise.all(names.map((name, at) => start(name, all, { listen: all[at], threads: 0 })));
    await Promise.all(started.map(node => node.ready()));
    const [n1] = started as [Node, ...Node[]];
    const found = [];
    const wanted = [];
    for (let partition = 0; partition < 64; partition++) {
      found.push((await n1.locate(n1.ref(VnodeT, String(partition)))).node);
      wanted.push(n1.cluster.ring().owners[partition]);
    }
    expect(found).toEqual(wanted);
    expect(new Set(found)).toEqual(new Set(names));
  });

  it('plan and commit on either; the ring wishes the same on both', async () => {
    const [n1, n2] = await two({ threads: 0 });
    const planned = n2.cluster.plan({ join: [{ name: 'n2' }] });
    expect(planned.transfers).toHaveLength(32);
    const committed = await n2.cluster.commit(planned);
    expect(committed).toEqual({ epoch: expect.any(Number), hash: expect.stringMatching(/^[0-9a-f]{32}$/) });
    await until(
      'both hold it',
      () => n2.cluster.ring().epoch >= committed.epoch && n1.cluster.ring().epoch >= committed.epoch,
    );
    expect(await n2.cluster.commit(planned).catch(error => error.details.reason)).toBe('plan-changed');
  });

  it('the second is taken into the ring by itself, where nobody says otherwise', async () => {
    const [n1, n2] = await two({ threads: 0, autoJoin: true });
    const { epoch } = n1.cluster.ring();
    await until('a share is to be its', () => {
      const { next, owners } = n2.cluster.ring();
      return next.some(({ to }) => to === 'n2') || owners.includes('n2');
    });
    expect(n1.cluster.ring().epoch).toBeGreaterThan(epoch);
    const shown = await n2.cluster.transfers();
    expect(shown.every(({ from, to }) => from === 'n1' && to === 'n2')).toBe(true);
  });

  it('describe() shows the cluster', async () => {
    const [n1] = await two();
    const { cluster } = (await n1.describe()) as { cluster: { members: { name: string; status: string }[] } };
    expect(cluster.members.map(({ name }) => name).sort()).toEqual(['n1', 'n2']);
  });
});

describe('nodes with data', () => {
  it('come back to their ring, and to what they have stored', async () => {
    const [d1, d2] = await Promise.all([mkdtemp(join(tmpdir(), 'troupe-c1-')), mkdtemp(join(tmpdir(), 'troupe-c2-'))]);
    dirs.push(d1, d2);
    const n1 = await start('n1', [], { dataDir: d1 });
    const n2 = await start('n2', [n1.cluster.address], { dataDir: d2 });
    await n2.ready();
    const store = await n2.store('carts');
    await store.put('k', 'kept');
    const ring = n2.cluster.ring();
    const listen = n1.cluster.address;
    await n1.stop();
    const again = await start('n1', [], { dataDir: d1, listen });
    await until('the store answers', async () => (await store.get('k').catch(() => undefined))?.value === 'kept');
    expect(again.cluster.ring()).toEqual(ring);
  });

  it('are not served alone, as if what is others’ were empty', async () => {
    const [d1, d2] = await Promise.all([mkdtemp(join(tmpdir(), 'troupe-c6-')), mkdtemp(join(tmpdir(), 'troupe-c7-'))]);
    dirs.push(d1, d2);
    const n1 = await start('n1', [], { dataDir: d1, threads: 0 });
    const n2 = await start('n2', [n1.cluster.address], { dataDir: d2, threads: 0 });
    await n2.ready();
    const { cluster } = n1;
    const taken = (): Promise<boolean> =>
      cluster.commit(cluster.plan({ join: ['n2'] })).then(
        () => true,
        error => error.details.reason === 'already-member',
      );
    await until('the second is in the ring', taken);
    const listen = n1.cluster.address;
    await Promise.all([n1.stop(), n2.stop()]);
    expect(await startNode({ dataDir: d1, threads: 0 }).catch(error => error)).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/'n1' belongs to cluster .* with n2.*start it with 'listen'/),
      details: { option: 'listen', others: 1 },
    });
    const again = await start('n1', [], { dataDir: d1, threads: 0, listen });
    expect(again.cluster.plan({ leave: ['n2'] }).ring.owners).not.toContain('n2');
  });

  it('of the time when rings did not change keep their ring', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'troupe-c5-'));
    dirs.push(dir);
    const n1 = await start('n1', [], { dataDir: dir, threads: 0 });
    const before = n1.cluster.describe().ring;
    await n1.stop();
    const file = join(dir, 'troupe.json');
    const content = JSON.parse(await readFile(file, 'utf8'));
    expect(content.ring).toMatchObject({ birth: before?.birth, holdings: expect.any(Array) });
    await writeFile(file, JSON.stringify({ ...content, ring: content.ring.claim }));
    const again = await start('n1', [], { dataDir: dir, threads: 0 });
    expect(again.cluster.describe().ring).toEqual(before);
  });

  it('hold its vote for the first ring until there is one; with a vote nobody founds a cluster alone', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'troupe-c6-'));
    dirs.push(dir);
    const [one, two] = await freePorts(2);
    const [a, b] = [`127.0.0.1:${one}`, `127.0.0.1:${two}`];
    const file = join(dir, 'troupe.json');
    const content = async () => JSON.parse(await readFile(file, 'utf8'));
    const n1 = await start('n1', [b], { dataDir: dir, threads: 0, listen: a });
    const n2 = await start('n2', [a], { threads: 0, listen: b });
    await Promise.all([n1.ready(), n2.ready()]);
    expect(n1.cluster.ring()).toEqual(n2.cluster.ring());
    await n1.stop();
    const { ring, vote, ...rest } = await content();
    expect([ring.birth, vote]).toEqual([expect.any(String), undefined]);
    const ballot = { round: 3, by: 'n2' };
    await writeFile(
      file,
      JSON.stringify({ ...rest, vote: { promised: ballot, accepted: { ballot, value: ring.claim }, join: [b] } }),
    );
    for (const options of [{}, { listen: a }, { listen: a, join: [b, '127.0.0.1:1'] }])
      expect(await startNode({ dataDir: dir, threads: 0, ...options }).catch(error => error)).toMatchObject({
        ...{ code: 'BAD_OPTION', details: { option: 'join' } },
        message: expect.stringContaining(`troupe.json: this node has voted for the first ring of a cluster`),
      });
    await writeFile(file, JSON.stringify({ ...(await content()), vote: { promised: 'n2', join: [b] } }));
    const damaged = start('n1', [b], { dataDir: dir, threads: 0, listen: a });
    expect(await damaged.catch(error => [error.code, error.message])).toEqual([
      'CORRUPT',
      expect.stringContaining(file),
    ]);
  });

  it('of a node that was alone do not vanish behind the ring of others', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'troupe-c3-'));
    dirs.push(dir);
    await (await startNode({ dataDir: dir, name: 'n2', threads: 0 })).stop();
    const joining = start('n2', ['127.0.0.1:1'], { dataDir: dir });
    expect(await joining.catch(error => [error.code, error.message])).toEqual([
      'BAD_OPTION',
      expect.stringMatching(/has data of its own.*'listen' without 'join'/),
    ]);
  });
});

describe('a node that does not fit', () => {
  it('with other partitions says so, and what to do', async () => {
    const n1 = await start('n1', [], { threads: 0 });
    const n2 = await start('n2', [n1.cluster.address], { threads: 0, partitions: 128 });
    expect(await n2.ready().catch(error => [error.code, error.message])).toEqual([
      'BAD_OPTION',
      expect.stringMatching(/this node has 'partitions' 128, the other 64/),
    ]);
  });

  it('is told so, and so are the others, where they were to found a cluster together', async () => {
    const all = (await freePorts(3)).map(port => `127.0.0.1:${port}`);
    const started = all.map((listen, at) =>
      start(`n${at + 1}`, all, { threads: 0, listen, partitions: at === 0 ? 16 : 64 }),
    );
    const [n1, n2, n3] = (await Promise.all(started)) as [Node, Node, Node];
    expect(await n1.ready().catch(error => [error.code, error.details.option])).toEqual(['BAD_OPTION', 'partitions']);
    await Promise.all([n2.ready(), n3.ready()]);
    expect(new Set(n2.cluster.ring().owners)).toEqual(new Set(['n2', 'n3']));
  });

  it('with another cluster than its ring is refused, and the file named', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'troupe-c4-'));
    dirs.push(dir);
    await (await startNode({ dataDir: dir, name: 'n1', threads: 0, listen: '127.0.0.1:0' })).stop();
    const renamed = start('n1', [], { dataDir: dir, threads: 0, cluster: 'other' });
    expect(await renamed.catch(error => [error.code, error.message])).toEqual([
      'BAD_OPTION',
      expect.stringMatching(/troupe\.json: the ring is of cluster 'default', and this node is of 'other'/),
    ]);
    const again = await start('n1', [], { dataDir: dir, threads: 0 });
    expect(again.cluster.ring().owners).toHaveLength(64);
  });
});

describe('a node without threads', () => {
  it('is a node like any other', async () => {
    const [n1, n2] = await two({ threads: 0 });
    expect(await n2.ref(LogT, 'a').hear(1)).toBe(1);
    expect(await n1.ref(LogT, 'a').all()).toEqual([1]);
  });
});

describe('nodes that may not meet', () => {
  it.each([
    ['cluster', { cluster: 'other', secret: 'a secret of the first one' }],
    ['secret', { secret: 'a secret of somebody else' }],
  ])('with another %s are refused, and both sides say so', async (reason, options) => {
    const n1 = await start('n1', [], { secret: 'a secret of the first one' });
    const here = new Promise(resolve => n1.on('peer-refused', resolve));
    const n2 = await start('n2', [n1.cluster.address], options);
    const there = new Promise(resolve => n2.on('peer-refused', resolve));
    expect(await here).toMatchObject({ reason, by: 'us' });
    expect(await there).toMatchObject({ by: 'them' });
  });

  it.each([
    ['cluster', 'join', { cluster: 'other', secret: 'a secret of the first one' }, /it says no more.*its log has the/],
    ['secret', 'secret', { secret: 'a secret of somebody else' }, /n1 at .*give both nodes the same 'secret'/],
  ])('with another %s are never ready, and say why', async (reason, option, options, message) => {
    const n1 = await start('n1', [], { secret: 'a secret of the first one', threads: 0 });
    const n2 = await start('n2', [n1.cluster.address], { ...options, threads: 0 });
    expect(await n2.ready().catch(error => error)).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(message),
      details: { option, reason: reason === 'secret' ? 'secret' : 'refused', address: n1.cluster.address },
    });
    const { joining } = n2.cluster.describe();
    expect(joining).toMatchObject([{ address: n1.cluster.address, state: 'refused', tries: 1 }]);
    await n1.ready();
  });

  it('with another number of replicas are refused, on whichever side that is', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'troupe-c8-'));
    dirs.push(dir);
    const n1 = await start('n1', [], { threads: 0 });
    const here = new Promise(resolve => n1.on('peer-refused', resolve));
    const n2 = await start('n2', [n1.cluster.address], { threads: 0, replicas: 3, dataDir: dir });
    expect(await n2.ready().catch(error => error)).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/this node has 'replicas' 3, the other 1; all nodes of a cluster have the same/),
      details: { option: 'replicas', reason: 'replicas', by: 'them' },
    });
    expect(await here).toMatchObject({ name: 'n2', reason: 'replicas', by: 'us' });
    expect(n1.cluster.members().map(({ name }) => name)).toEqual(['n1']);
  });

  it('where strangers could come in, do not even listen', async () => {
    const open = start('n1', [], { listen: '0.0.0.0:0' }).catch(error => [error.code, error.message]);
    expect(await open).toEqual(['BAD_OPTION', expect.stringMatching(/reached from other machines.*insecure: true/)]);
  });

  it('an address in use is named', async () => {
    const n1 = await start('n1', []);
    const second = start('n2', [], { listen: n1.cluster.address }).catch(error => [error.code, error.message]);
    expect(await second).toEqual(['BAD_OPTION', expect.stringMatching(/127\.0\.0\.1:\d+/)]);
  });
});
