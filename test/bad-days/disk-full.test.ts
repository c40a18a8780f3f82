// A disk that is full: what must be stored is refused with DISK_FULL and has not happened, everything else goes on, and when
// there is room again all is as before, without a restart.

import { rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Node, NodeOptions } from '../../src/index.ts';
import { code, ending, newDir, smallDisk, startedNode, until } from './folders.ts';
import { AlarmT, JournalT, LedgerT, LoggedSetsT, SetsT } from './kept-actors.ts';

const MiB = 1 << 20;
const full = { code: 'DISK_FULL', outcome: 'failed', retryable: true };

interface Disk {
  readonly dataDir: string;
  readonly lowWater: number;
  fill(): void;
  free(): void;
}

/** A disk of 32 MiB and a ballast that fills it to somewhere below the low water. */
function tightDisk(): Disk | string {
  const made = smallDisk(32 * MiB);
  if (typeof made === 'string') return made;
  const ballast = join(made.path, 'ballast');
  const lowWater = 4 * MiB;
  return {
    dataDir: join(made.path, 'data'),
    lowWater,
    fill() {
      const { bavail, bsize } = statfsSync(made.path);
      const size = statSync(ballast, { throwIfNoEntry: false })?.size ?? 0;
      writeFileSync(ballast, new Uint8Array(Math.max(0, size + bavail * bsize - 3 * MiB)));
    },
    free: () => rmSync(ballast, { force: true }),
  };
}

let refused: string | undefined;
beforeAll(() => {
  const probe = smallDiskProbe();
  if (probe !== undefined)
    console.warn(`no disk of our own (${probe}); tests that need one to be full and freed are skipped`);
  refused = probe;
});

function smallDiskProbe(): string | undefined {
  if (process.platform !== 'linux') return `no tmpfs on ${process.platform}`;
  return process.getuid?.() === 0 ? undefined : 'mounting one takes root';
}

const options = (disk: Disk, threads: number): NodeOptions => ({
  dataDir: disk.dataDir,
  diskFreeLowWater: disk.lowWater,
  threads,
  actors: [LedgerT, JournalT, AlarmT, SetsT, LoggedSetsT],
});

const setsOf = (node: Node, key: string) => node.ref(key.startsWith('snapshot') ? SetsT : LoggedSetsT, key);
const freeOf = async (node: Node): Promise<unknown> => ((await node.describe()) as { disk: unknown }).disk;

describe.each([0, 2])('a full disk below a node with %i host threads', threads => {
  it('refuses puts, lets reads and deletions through, says so once, and goes on when there is room', async context => {
    if (refused !== undefined) return context.skip(refused);
    const disk = tightDisk();
    if (typeof disk === 'string') return context.skip(disk);
    const node = await startedNode(options(disk, threads));
    const lows: { freeBytes: number }[] = [];
    node.on('disk-low', event => lows.push(event));
    const store = await node.store('s');
    const value = new Uint8Array(8_000).fill(7);
    const keys = Array.from({ length: 400 }, (_, n) => `k${n}`);
    await Promise.all(keys.map(key => store.put(key, value)));
    expect(lows).toEqual([]);
    expect(await freeOf(node)).toMatchObject({ low: false });

    disk.fill();
    const refusals = await Promise.all(keys.map(key => code(store.put(key, value))));
    expect(new Set(refusals)).toEqual(new Set(['DISK_FULL']));
    expect(await ending<unknown>(store.put('new', 1, { ack: 'flushed' }))).toMatchObject(full);
    expect(await ending<unknown>(store.put('new', 1))).toMatchObject({ message: expect.stringMatching(/free/) });
    await until(() => lows.length > 0);
    expect(lows[0]?.freeBytes).toBeLessThan(disk.lowWater);
    expect(await freeOf(node)).toMatchObject({ low: true, lowWater: disk.lowWater });

    expect((await store.get('k7')).values).toEqual([value]);
    let scanned = 0;
    for await (const { values } of store.scan()) scanned += values.length;
    expect(scanned).toBe(keys.length);
    expect((await store.get('new')).found).toBe(false);
    const gone = keys.slice(0, 100);
    expect(new Set(await Promise.all(gone.map(key => code(store.delete(key)))))).toEqual(new Set(['ok']));
    expect((await store.get('k7')).found).toBe(false);
    expect(lows).toHaveLength(1);

    disk.free();
    await until(async () => (await code(store.put('new', 1))) === 'ok');
    expect(new Set(await Promise.all(keys.map(key => code(store.put(key, 'short')))))).toEqual(new Set(['ok']));
    expect((await store.get('k7')).values).toEqual(['short']);
    await until(async () => ((await freeOf(node)) as { low: boolean }).low === false);
    disk.fill();
    await until(() => lows.length === 2);
  });

  it('undoes the turn of an actor that is kept: its asker hears DISK_FULL, and its state is what is stored', async context => {
    if (refused !== undefined) return context.skip(refused);
    const disk = tightDisk();
    if (typeof disk === 'string') return context.skip(disk);
    const node = await startedNode(options(disk, threads));
    const failures: { id: string; action: string }[] = [];
    node.on('actor-failed', event => failures.push(event));
    const kept = [node.ref(LedgerT, 'a'), node.ref(JournalT, 'a')];
    const alarm = node.ref(AlarmT, 'a');
    for (const actor of kept) for (let n = 1; n <= 3; n++) await actor.note(n);

    disk.fill();
    for (const actor of kept) {
      expect(await ending<unknown>(actor.note(4))).toMatchObject(full);
      expect((await actor.read()).slice(0, 2)).toEqual([3, 3]);
      // One that has never been stored: it has nothing, and stays so.
      const fresh = node.ref(actor === kept[0] ? LedgerT : JournalT, 'fresh');
      expect(await ending<unknown>(fresh.note(1))).toMatchObject(full);
      expect((await fresh.read()).slice(0, 2)).toEqual([0, 0]);
    }
    expect(await ending<unknown>(alarm.set('later', 86_400_000))).toMatchObject({
      message: expect.stringMatching(/free/),
    });
    await until(() => failures.some(({ id, action }) => id === 'ledger/a' && action === 'roll-back'));

    disk.free();
    await until(async () => (await code((kept[0] as (typeof kept)[0]).note(4))) === 'ok');
    await (kept[1] as (typeof kept)[1]).note(4);
    for (const actor of kept) expect((await actor.read()).slice(0, 2)).toEqual([4, 4]);
    await alarm.set('later', 86_400_000);
  });

  it('again and again, under load: what was refused is nowhere, what was acknowledged is there', async context => {
    if (refused !== undefined) return context.skip(refused);
    const disk = tightDisk();
    if (typeof disk === 'string') return context.skip(disk);
    const actors = ['snapshot-0', 'snapshot-1', 'journal-0', 'journal-1'];
    const acked = new Map(actors.map(key => [key, new Set<number>()]));
    const refusals = new Map(actors.map(key => [key, new Set<number>()]));
    const others: string[] = [];
    const node = await startedNode(options(disk, threads));
    let going = true;
    const work = async (key: string, worker: number): Promise<void> => {
      const actor = setsOf(node, key);
      for (let n = worker; going; n += 16) {
        try {
          await actor.add(n);
          acked.get(key)?.add(n);
        } catch (error) {
          if ((error as { code: string }).code === 'DISK_FULL') refusals.get(key)?.add(n);
          else others.push(String((error as Error).message));
          // A refusal is quick; without a pause there would be nothing else.
          await new Promise(resolve => setTimeout(resolve, 1));
        }
      }
    };
    const workers = actors.flatMap(key => Array.from({ length: 16 }, (_, worker) => work(key, worker)));
    const count = (sets: Map<string, Set<number>>): number =>
      [...sets.values()].reduce((sum, set) => sum + set.size, 0);
    for (let cycle = 0; cycle < 20; cycle++) {
      const before = count(refusals);
      disk.fill();
      await until(() => count(refusals) > before + 30);
      const [done] = [count(acked)];
      disk.free();
      await until(() => count(acked) > done + 30);
    }
    going = false;
    await Promise.all(workers);
    expect(others).toEqual([]);
    for (const key of actors) {
      const held = new Set(await setsOf(node, key).all());
      const lost = [...(acked.get(key) as Set<number>)].filter(n => !held.has(n));
      const undead = [...(refusals.get(key) as Set<number>)].filter(n => held.has(n));
      expect([key, lost, undead]).toEqual([key, [], []]);
    }
    await node.stop();
    const after = await startedNode(options(disk, 0));
    for (const key of actors) expect(new Set(await setsOf(after, key).all())).toEqual(acked.get(key));
  });

  it('is no reason not to start, nor to stop', async context => {
    if (refused !== undefined) return context.skip(refused);
    const disk = tightDisk();
    if (typeof disk === 'string') return context.skip(disk);
    const first = await startedNode(options(disk, threads));
    await (await first.store('s')).put('k', 1);
    await first.ref(LedgerT, 'a').note(1);
    disk.fill();
    await first.stop();
    const node = await startedNode(options(disk, threads));
    expect((await (await node.store('s')).get('k')).value).toBe(1);
    expect((await node.ref(LedgerT, 'a').read()).slice(0, 2)).toEqual([1, 1]);
    expect(await code(node.ref(LedgerT, 'a').note(2))).toBe('DISK_FULL');
    await node.stop();
  });
});

describe('a low water above all the disk has', () => {
  it('makes every put DISK_FULL and every read go on, also where nothing may be mounted', async () => {
    const dataDir = newDir();
    const first = await startedNode({ dataDir, threads: 0, actors: [LedgerT] });
    await (await first.store('s')).put('k', 1);
    await first.ref(LedgerT, 'a').note(1);
    await first.stop();
    const node = await startedNode({ dataDir, threads: 2, actors: [LedgerT], diskFreeLowWater: 2 ** 52 });
    const lows: unknown[] = [];
    node.on('disk-low', event => lows.push(event));
    const store = await node.store('s');
    expect(await ending<unknown>(store.put('k', 2))).toMatchObject(full);
    expect((await store.get('k')).values).toEqual([1]);
    expect(await code(store.delete('k'))).toBe('ok');
    expect(await ending<unknown>(node.ref(LedgerT, 'a').note(2))).toMatchObject(full);
    expect((await node.ref(LedgerT, 'a').read()).slice(0, 2)).toEqual([1, 1]);
    await until(() => lows.length > 0);
    // A store that is not there yet cannot be made either.
    expect(await code(node.store('another'))).toBe('DISK_FULL');
  });
});
