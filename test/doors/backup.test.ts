// Backups as their users make them: node.backup() while threads write and actors work, and the commands of `troupe` beside a node that
// is stopped. What is restored starts as a node, with everything in it.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCommand } from '../../src/doors/cli-arguments.ts';
import { runFileCommand } from '../../src/doors/cli-files.ts';
import { type Node, type NodeOptions, type Store, startNode } from '../../src/index.ts';
import { TroupeStore } from '../../src/storage/troupe-store.ts';
import { BookT } from './backup-actors.ts';
import { oneOfTwo } from './one-of-two.ts';

let folder: string;
let dataDir: string;
const nodes: Node[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-backup-'));
  dataDir = join(folder, 'data');
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function started(options: NodeOptions = {}): Promise<Node> {
  const node = await startNode({ dataDir, threads: 0, actors: [BookT], ...options });
  nodes.push(node);
  return node;
}

interface Said {
  readonly sound: boolean;
  readonly out: string;
  readonly notes: string[];
}

/** A command on files, in this process. */
async function say(...words: string[]): Promise<Said> {
  const notes: string[] = [];
  let out = '';
  const command = readCommand(words);
  if (!('json' in command) || 'store' in command || command.name === 'describe' || command.name === 'sim')
    throw new Error('not on files');
  const sound = await runFileCommand(command, {
    out: async chunk => {
      out += String(chunk);
    },
    note: text => void notes.push(text),
  });
  return { sound, out, notes };
}

async function keysOf(store: Store): Promise<number> {
  let keys = 0;
  for await (const _ of store.scan()) keys++;
  return keys;
}

/** Every file with its content. */
function pictureOf(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .sort()
    .map(name => {
      const path = join(dir, name);
      return statSync(path).isDirectory()
        ? name
        : `${name} ${createHash('md5').update(readFileSync(path)).digest('hex')}`;
    });
}

const value = 'v'.repeat(500);

describe('node.backup()', () => {
  it('while host threads write holds a moment of all of them; a node starts on it and goes on', {
    timeout: 60_000,
  }, async () => {
    const node = await started({ threads: 2, name: 'n1' });
    const store = await node.store('s', { siblings: false });
    const book = node.ref(BookT, 'diary');
    for (let at = 0; at < 2_000; at += 200)
      await Promise.all(Array.from({ length: 200 }, (_, each) => store.put(`k${at + each}`, value)));
    await store.delete('k7');
    await book.write('before');
    await book.remindMe(700);
    // One writer after the other: of what it wrote, a backup has a beginning.
    let written = 0;
    let going = true;
    const writing = Promise.all(
      [0, 1, 2, 3].map(async lane => {
        for (let at = 0; going; at++) {
          await store.put(`lane${lane}-${String(at).padStart(6, '0')}`, value);
          written++;
        }
      }),
    );
    const seen: number[] = [];
    const done = await node.backup(join(folder, 'b'), { onProgress: ({ bytes }) => void seen.push(bytes) });
    going = false;
    await writing;
    await book.write('after');
    expect(done).toMatchObject({ dir: join(folder, 'b'), copied: 0, kept: 0 });
    expect(done.records).toBeGreaterThan(0);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(written).toBeGreaterThan(0);

    const said = await say('restore', join(folder, 'b'), join(folder, 'r'), '--json');
    expect(JSON.parse(said.out)).toMatchObject({ node: { name: 'n1' }, files: done.files });
    const again = await started({ dataDir: join(folder, 'r'), threads: 1 });
    expect(again.name).toBe('n1');
    const copy = await again.store('s');
    expect((await copy.get('k8')).value).toBe(value);
    expect((await copy.get('k7')).found).toBe(false);
    const lanes = new Map<string, string[]>();
    for await (const { key } of copy.scan({ prefix: 'lane' })) {
      const [lane, at] = String(key).split('-') as [string, string];
      lanes.set(lane, [...(lanes.get(lane) ?? []), at]);
    }
    for (const ats of lanes.values()) expect(ats).toEqual(ats.map((_, at) => String(at).padStart(6, '0')));
    const theirs = again.ref(BookT, 'diary');
    while (!(await theirs.read()).includes('later')) await new Promise(soon => setImmediate(soon));
    expect(await theirs.read()).toEqual(['before', 'later']);
    await theirs.write('restored');
    await copy.put('k8', 'new');
    await copy.put('k9', 'newer', { ack: 'flushed' });
    expect([(await copy.get('k8')).value, (await copy.get('k9')).value]).toEqual(['new', 'newer']);
    // Both go on, each on its own.
    expect((await store.get('k8')).value).toBe(value);
    await again.stop();
    const third = await started({ dataDir: join(folder, 'r') });
    expect(await third.ref(BookT, 'diary').read()).toEqual(['before', 'later', 'restored']);
  });

  it('gives new activations epochs that the node cannot have used after the backup', async () => {
    const node = await started();
    await node.ref(BookT, 'a').write('x');
    await node.backup(join(folder, 'b'));
    await node.stop();
    const epochs = [];
    for (let life = 0; life < 3; life++) {
      const next = await started();
      await next.ref(BookT, 'a').write('y');
      epochs.push((await next.locate(next.ref(BookT, 'a'))).epoch);
      await next.stop();
    }
    await say('restore', join(folder, 'b'), join(folder, 'r'));
    const again = await started({ dataDir: join(folder, 'r') });
    expect(await again.ref(BookT, 'a').write('z')).toBe(2);
    const { epoch } = await again.locate(again.ref(BookT, 'a'));
    expect(epoch).toBeGreaterThan(Math.max(...epochs));
  });

  it('is one at a time, needs a dataDir, and ends when the node is stopped', async () => {
    await using bare = await startNode({ threads: 0 });
    await expect(bare.backup(join(folder, 'm'))).rejects.toMatchObject({ code: 'BAD_OPTION' });
    const node = await started();
    await node.ref(BookT, 'a').write('x');
    const first = node.backup(join(folder, 'b'));
    await expect(node.backup(join(folder, 'c'))).rejects.toMatchObject({ code: 'OVERLOADED' });
    await first;
    const broken = node.backup(join(folder, 'd'));
    const stopped = node.stop();
    await expect(broken).rejects.toMatchObject({ code: 'STOPPED' });
    await stopped;
    await expect(node.backup(join(folder, 'e'))).rejects.toMatchObject({ code: 'STOPPED' });
    const again = await started();
    await again.backup(join(folder, 'd'));
    await say('restore', join(folder, 'd'), join(folder, 'r'));
    expect(await (await started({ dataDir: join(folder, 'r') })).ref(BookT, 'a').read()).toEqual(['x']);
  });
});

async function filled(): Promise<void> {
  const node = await started();
  const store = await node.store('s');
  await Promise.all(Array.from({ length: 300 }, (_, at) => store.put(`k${at}`, value)));
  const other = await node.store('t');
  await other.put('k0', 1);
  await node.ref(BookT, 'a').write('x');
  await node.stop();
  // What a node does when there is more: the log goes into a run.
  const engine = new TroupeStore({ dir: join(dataDir, 'troupe') });
  await engine.ready();
  await engine.settle();
  await engine.close();
}

describe('troupe backup and restore', () => {
  it('bring a stopped node back elsewhere, with progress on stderr', async () => {
    await filled();
    const made = await say('backup', dataDir, join(folder, 'b'));
    expect([made.out, made.notes.at(-1)]).toEqual([
      expect.stringMatching(/^\/.*\/b: [\d.]+ KB in \d+ files, 1 runs \(1 linked\)\n$/),
      expect.stringMatching(/^100 % of /),
    ]);
    const back = await say('restore', join(folder, 'b'), join(folder, 'r'));
    expect(back.out).toMatch(/\/r: node n-[0-9a-f]{8} as of 20\d\d-.*Z, [\d.]+ KB in \d+ files\n$/);
    expect(back.notes).toContain(`100 % of ${/of (.*)$/.exec(back.notes[0] ?? '')?.[1]}`);
    const node = await started({ dataDir: join(folder, 'r') });
    expect(await keysOf(await node.store('s'))).toBe(300);
    expect(await node.ref(BookT, 'a').read()).toEqual(['x']);
  });

  it('refuse what would be written over, and a directory that is none', async () => {
    await filled();
    await expect(say('backup', join(folder, 'none'), join(folder, 'b'))).rejects.toThrow(/not a data directory/);
    expect(existsSync(join(folder, 'none'))).toBe(false);
    await say('backup', dataDir, join(folder, 'b'));
    await expect(say('backup', dataDir, join(folder, 'b'))).rejects.toThrow(/holds a backup already/);
    await expect(say('restore', join(folder, 'b'), dataDir)).rejects.toThrow(/not empty/);
    await expect(say('restore', dataDir, join(folder, 'r'))).rejects.toThrow(/holds no backup/);
    const node = await started();
    await expect(say('backup', dataDir, join(folder, 'c'))).rejects.toThrow(/in use by another node/);
    await node.stop();
    await expect(startNode({ dataDir: join(folder, 'b'), threads: 0 })).rejects.toThrow(/is a backup/);
  });

  it('with --partition: that of every store is as it was, all else as it is', async () => {
    await filled();
    await say('backup', dataDir, join(folder, 'b'));
    const node = await started();
    const store = await node.store('s');
    const young = await node.store('young');
    for (let at = 0; at < 300; at++) {
      const { context } = await store.get(`k${at}`);
      await store.put(`k${at}`, 'changed', { context });
      await young.put(`k${at}`, 1);
    }
    await node.stop();
    const done = JSON.parse((await say('restore', join(folder, 'b'), dataDir, '--partition', '5', '--json')).out);
    expect(done).toMatchObject({ partition: 5, restored: [{ store: 's' }, { store: 't' }], left: ['young'] });
    const again = await started();
    const now = await again.store('s');
    let old = 0;
    for (let at = 0; at < 300; at++) {
      const { value: found, context } = await now.get(`k${at}`);
      if (found === value) old++;
      else expect(found).toBe('changed');
      await now.put(`k${at}`, 'on', { context });
      expect((await now.get(`k${at}`)).values).toEqual(['on']);
    }
    expect(old).toBe(done.restored[0].records - 1);
    expect(old).toBeGreaterThan(0);
    expect(await keysOf(await again.store('young'))).toBe(300);
  });

  it('with --partition, into the directory of one of several nodes: says what to do instead, and changes nothing', async () => {
    await oneOfTwo(dataDir);
    await say('backup', dataDir, join(folder, 'b'));
    await expect(say('restore', join(folder, 'b'), dataDir, '--partition', '5')).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(
        /of one of several nodes.*whole: 'troupe restore BACKUP DIR' .* starts there with 'listen'/,
      ),
    });
    await say('restore', join(folder, 'b'), join(folder, 'r'));
    const again = await started({ dataDir: join(folder, 'r'), listen: '127.0.0.1:0' });
    expect(again.cluster.plan({ leave: ['n2'] }).ring.owners).not.toContain('n2');
  });
});

describe('a backup whose process is killed', () => {
  it('is gone on with by the next one, and hurts nobody', async () => {
    await filled();
    await child(`
      await node.backup(${JSON.stringify(join(folder, 'b'))}, {
        onProgress: ({ file }) => file.endsWith('.bloom') && process.kill(process.pid, 'SIGKILL'),
      });`);
    expect(readdirSync(join(folder, 'b')).sort()).toEqual(['backup.part.json', 'data']);
    await expect(say('restore', join(folder, 'b'), join(folder, 'r'))).rejects.toThrow(/broken off/);
    const node = await started();
    const done = await node.backup(join(folder, 'b'));
    expect(done).toMatchObject({ runs: 1, kept: 1, linked: 0 });
    await say('restore', join(folder, 'b'), join(folder, 'r'));
    for (const each of [node, await started({ dataDir: join(folder, 'r') })])
      expect(await keysOf(await each.store('s'))).toBe(300);
  });
});

describe('a copied data directory', () => {
  it('is noticed at start, adopted on demand, and may be moved as one likes', async () => {
    await filled();
    const moved = join(folder, 'moved');
    renameSync(dataDir, moved);
    await (await started({ dataDir: moved })).stop();
    const copy = join(folder, 'copy');
    cpSync(moved, copy, { recursive: true, preserveTimestamps: true });
    await expect(startNode({ dataDir: copy, threads: 0 })).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/is a copy.*troupe restore.*troupe adopt/),
    });
    await expect(say('backup', copy, join(folder, 'b'))).rejects.toThrow(/is a copy/);
    const before = JSON.parse(readFileSync(join(moved, 'troupe.json'), 'utf8'));
    const adopted = JSON.parse((await say('adopt', copy, '--json')).out);
    expect(adopted.name).toBe(before.name);
    expect(adopted.id).not.toBe(before.id);
    expect(adopted.epochChunkLimit).toBeGreaterThan(before.epochChunkLimit + 2 ** 21);
    const [one, two] = [await started({ dataDir: moved }), await started({ dataDir: copy })];
    for (const node of [one, two]) expect(await node.ref(BookT, 'a').write('y')).toBe(2);
    await expect(say('adopt', copy)).rejects.toThrow(/in use/);
    await expect(say('adopt', folder)).rejects.toThrow(/not a data directory/);
  });
});

describe('troupe log', () => {
  it('verify says what is sound, and changes nothing', async () => {
    await filled();
    const node = await started();
    await (await node.store('s')).put('more', 1);
    await expect(say('log', 'verify', dataDir)).rejects.toThrow(/in use by another node/);
    await node.stop();
    const before = pictureOf(dataDir);
    const { sound, out } = await say('log', 'verify', dataDir);
    expect([sound, out]).toEqual([
      true,
      expect.stringMatching(/^run {2}run-1\.mdb {2}sound, \d+ records, 0 deletions$/m),
    ]);
    expect(out).toMatch(/troupe is sound: \d+ segments, \d+ runs\n$/);
    expect(JSON.parse((await say('log', 'verify', dataDir, '--json')).out)).toMatchObject({
      sound: true,
      manifest: '',
    });
    expect((await say('log', 'dump', dataDir)).sound).toBe(true);
    expect(pictureOf(dataDir)).toEqual(before);
    await expect(say('log', 'verify', folder)).rejects.toThrow(/no log/);
  });

  it('names the run, the filter, the manifest and the segment that are damaged', async () => {
    await filled();
    // Of a process that was killed: its segment stays as it is.
    await killed();
    const own = join(dataDir, 'troupe');
    const flip = (path: string, at: number): (() => void) => {
      const whole = readFileSync(path);
      const harmed = Buffer.from(whole);
      harmed[at] = (harmed[at] as number) ^ 1;
      writeFileSync(path, harmed);
      return () => writeFileSync(path, whole);
    };
    const runs = join(own, 'runs');
    const [run = ''] = readdirSync(runs).filter(name => name.endsWith('.mdb'));
    const log = join(own, 'log');
    const [segment = ''] = readdirSync(log).filter(name => name.endsWith('.log'));
    const verify = async () => {
      const { sound, out } = await say('log', 'verify', dataDir, '--json');
      return { told: sound, ...JSON.parse(out) };
    };
    expect(await verify()).toMatchObject({ told: true, segments: [{ file: segment, state: 'torn' }] });

    let mend = flip(join(runs, run), 20_000);
    expect(await verify()).toMatchObject({
      told: false,
      sound: false,
      runs: [{ file: run, damage: /./, filterDamage: '' }],
    });
    mend();
    mend = flip(join(runs, `${run}.bloom`), 40);
    expect(await verify()).toMatchObject({ told: false, runs: [{ file: run, damage: '', filterDamage: /./ }] });
    expect((await say('log', 'verify', dataDir)).out).toContain(`${run}  its filter is DAMAGED`);
    mend();
    mend = flip(join(log, segment), 4_096 + 60);
    expect(await verify()).toMatchObject({ told: false, segments: [{ file: segment, state: 'hole', end: 4_096 }] });
    mend();
    const manifest = join(own, 'manifest', 'data.mdb');
    const bytes = readFileSync(manifest);
    writeFileSync(manifest, 'rubbish');
    expect(await verify()).toMatchObject({ told: false, manifest: /./, runs: [] });
    writeFileSync(manifest, bytes);
    expect(await verify()).toMatchObject({ told: true });
  });

  it('dump shows each group with its shard, its keys and whether its records are whole', async () => {
    await filled();
    await killed();
    const lines = (await say('log', 'dump', dataDir)).out.split('\n').filter(Boolean);
    // It may have had time for a mark.
    expect(lines.filter(line => line.includes(' group '))).toHaveLength(50);
    expect(lines[0]).toMatch(
      /^t0\.\d+-\d+\.log {2}4096 {2}group \d+ {2}shard \d+ kv\/s\/\d+ {2}epoch \d+ {2}put .* \d+ bytes/,
    );
    const frames = (await say('log', 'dump', dataDir, '--json')).out.split('\n').filter(Boolean);
    expect(frames.map(frame => JSON.parse(frame))).toHaveLength(lines.length);
    const id = String(Number(/^t0\.\d+-(\d+)/.exec(lines[0] ?? '')?.[1]));
    expect((await say('log', 'dump', dataDir, '--segment', id)).out.split('\n')).toHaveLength(lines.length + 1);
    await expect(say('log', 'dump', dataDir, '--segment', '999')).rejects.toThrow(/no segment 999/);
  });

  it('verify also looks into a backup; the process ends with 0 or 3', async () => {
    await filled();
    await say('backup', dataDir, join(folder, 'b'));
    expect(await troupe('log', 'verify', join(folder, 'b'))).toMatchObject({ code: 0 });
    const runs = join(folder, 'b', 'data', 'troupe', 'runs');
    const [run = ''] = readdirSync(runs).filter(name => name.endsWith('.mdb'));
    const lmdb = join(folder, 'b', 'data', 'lmdb', 'data.mdb');
    const whole = readFileSync(lmdb);
    writeFileSync(lmdb, whole.subarray(0, -1));
    const cut = await say('log', 'verify', join(folder, 'b'));
    expect([cut.sound, cut.out]).toEqual([
      false,
      expect.stringMatching(/^file {2}lmdb\/data.mdb {2}DAMAGED: it has /m),
    ]);
    writeFileSync(lmdb, whole);
    rmSync(join(runs, `${run}.bloom`));
    const ended = await troupe('log', 'verify', join(folder, 'b'), '--json');
    expect([ended.code, JSON.parse(ended.out).sound]).toEqual([3, false]);
    expect(await troupe('log', 'verify', folder)).toMatchObject({ code: 3 });
    expect(await troupe('restore', join(folder, 'b'), dataDir, '--json')).toMatchObject({
      code: 3,
      err: expect.stringContaining('"code":"BAD_OPTION"'),
    });
  });
});

function troupe(...args: string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const file = join(import.meta.dirname, '../../src/doors/cli.ts');
  return new Promise(resolve => {
    execFile(process.execPath, [file, ...args], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

/** Fifty puts by a process that ends like kill -9. */
function killed(): Promise<void> {
  return child(`
    const store = await node.store('s');
    for (let at = 0; at < 50; at++) await store.put('killed' + at, 'v', { ack: at % 10 === 9 ? 'flushed' : 'committed' });
    process.kill(process.pid, 'SIGKILL');`);
}

function child(body: string): Promise<void> {
  const source = `
    const { startNode } = await import(${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)});
    const node = await startNode({ dataDir: ${JSON.stringify(dataDir)}, threads: 0 });
    ${body}`;
  return new Promise(done => {
    execFile(process.execPath, ['--input-type=module', '-e', source], () => done());
  });
}
