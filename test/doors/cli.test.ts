// The command `troupe`: what it understands (quickly, without a process), and what it does (as a process, by its exit code).

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { help, readCommand, type SimCommand } from '../../src/doors/cli-arguments.ts';
import { runCommand } from '../../src/doors/cli-commands.ts';
import { jsonOf, keyText } from '../../src/doors/cli-json.ts';
import { runSim } from '../../src/doors/cli-sim.ts';
import { UsageError } from '../../src/doors/usage.ts';
import { startNode } from '../../src/index.ts';
import { type AnyScenario, scenarios } from '../../src/testing/sim/scenarios.ts';
import { oneOfTwo } from './one-of-two.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const split = (line: string): string[] => line.split(' ').filter(word => word !== '');

describe('a command line', () => {
  it.each([
    ['--help', { name: 'help' }],
    ['help', { name: 'help' }],
    ['kv get --help', { name: 'help' }],
    ['--version', { name: 'version' }],
    ['describe --data-dir d', { name: 'describe', dataDir: 'd', json: false, count: false }],
    ['kv get k --data-dir d --store s --json', { name: 'get', key: 'k', dataDir: 'd', store: 's', json: true }],
    ['kv --store s del k --data-dir d --flushed', { name: 'del', key: 'k', flushed: true, dataDir: 'd', store: 's' }],
    ['kv scan --data-dir d --store s --prefix p --limit 3', { name: 'scan', prefix: 'p', limit: 3 }],
    ['kv put k 7 --data-dir d --store s', { name: 'put', key: 'k', value: '7', create: false, ttlMs: undefined }],
    ['kv put k 7 --parse --ttl-ms 5 --data-dir d --store s', { name: 'put', value: 7, ttlMs: 5, flushed: false }],
    ['kv put --data-dir d --store s -- -k -v', { name: 'put', key: '-k', value: '-v' }],
    ['log verify d --json', { name: 'log verify', dir: 'd', json: true }],
    ['log dump d --segment 12', { name: 'log dump', dir: 'd', segment: 12, json: false }],
    ['log dump d', { name: 'log dump', dir: 'd', segment: undefined }],
    ['backup d t', { name: 'backup', dataDir: 'd', target: 't', json: false }],
    ['restore b d', { name: 'restore', backup: 'b', dataDir: 'd', partition: undefined }],
    ['restore b d --partition 0 --json', { name: 'restore', backup: 'b', dataDir: 'd', partition: 0, json: true }],
    ['adopt d', { name: 'adopt', dataDir: 'd' }],
    ['sim', { name: 'sim', scenario: undefined, seed: 1, seeds: undefined, minutes: 1, json: false }],
    [
      'sim --scenario links --seed 7 --seeds 1 --json',
      { name: 'sim', scenario: 'links', seed: 7, seeds: 1, json: true },
    ],
    ['sim --seeds 3', { name: 'sim', seeds: 3, minutes: undefined }],
  ])('%s is understood', (line, command) => {
    expect(readCommand(split(line))).toMatchObject(command);
  });

  it.each([
    ['', /a command is missing/],
    ['start', /no command 'start'/],
    ['kv', /no command 'kv'/],
    ['kv list', /no command 'kv list'/],
    ['kv get k --store s', /--data-dir is missing/],
    ['kv get k --data-dir d', /--store is missing/],
    ['kv get --data-dir d --store s', /takes 1 argument, not 0$/],
    ['kv get a b --data-dir d --store s', /takes 1 argument, not 2$/],
    ['kv get k --data-dir d --store s --create', /'kv get' has no option --create/],
    ['describe --data-dir d --store s', /'describe' has no option --store/],
    ['kv scan --data-dir d --store s --limit -1', /limit/],
    ['kv put k v --data-dir d --store s --ttl-ms 0', /whole number from 1/],
    ['kv put k {a} --parse --data-dir d --store s', /not JSON/],
    ['kv get k --dir d', /--dir/],
    ['describe d', /'describe' takes 0 arguments, not 1: did you mean --data-dir d\?/],
    ['describe d e', /not 2: the directory is an option, --data-dir DIR$/],
    ['kv get k d', /not 2: the directory is an option, --data-dir DIR, and so is --store NAME$/],
    ['kv get s k --data-dir d', /not 2: the store is an option, --store NAME$/],
    ['kv scan d --store s', /not 1: the directory is an option, --data-dir DIR$/],
    ['log', /no command 'log'/],
    ['log show d', /no command 'log show'/],
    ['log verify', /'log verify' takes 1 directory, not 0/],
    ['log verify d --segment 1', /'log verify' has no option --segment/],
    ['backup d', /'backup' takes 2 directories, not 1/],
    ['backup t --data-dir x', /'backup' has no option --data-dir: it is told without, troupe backup DIR TARGET/],
    ['adopt --data-dir x', /'adopt' has no option --data-dir: it is told without, troupe adopt DIR/],
    ['restore b d --partition x', /--partition needs a whole number/],
    ['sim links', /'sim' takes no arguments, not 1: did you mean --scenario links\?/],
    ['sim --minutes 0', /--minutes needs a whole number from 1/],
    ['sim --data-dir d', /'sim' has no option --data-dir/],
  ])('%s is refused', (line, says) => {
    expect(() => readCommand(split(line))).toThrow(says);
    expect(() => readCommand(split(line))).toThrow(UsageError);
  });

  it('is explained by a help text that names every option', () => {
    for (const option of [
      'data-dir',
      'store',
      'json',
      'parse',
      'create',
      'ttl-ms',
      'flushed',
      'prefix',
      'limit',
      'count',
      'segment',
      'partition',
      'scenario',
      'seed',
      'seeds',
      'minutes',
    ])
      expect(help).toContain(`--${option}`);
  });
});

describe('troupe sim', () => {
  const sim = async (line: string, among = scenarios) => {
    let out = '';
    const command = readCommand(split(line)) as SimCommand;
    const write = async (chunk: string | Uint8Array): Promise<void> => {
      out += String(chunk);
    };
    const good = await runSim(command, { out: write, note: () => undefined }, among);
    return { good, out };
  };

  it('runs seeds of every scenario and says how fast', { timeout: 60_000 }, async () => {
    const { good, out } = await sim('sim --seeds 2 --json');
    expect(good).toBe(true);
    const results = out
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(results.map(({ scenario, seeds, failed }) => [scenario, seeds, failed])).toEqual([
      ['counters', 2, []],
      ['links', 2, []],
      ['membership', 2, []],
      ['nodes', 2, []],
      ['replicas', 2, []],
      ['threads', 2, []],
      ['replica-threads', 2, []],
    ]);
    expect(results[0].eventsPerCpuSecond).toBeGreaterThan(0);
  });

  it('tells of a seed that fails, with the command that shows it again', async () => {
    const bad: AnyScenario = {
      ...(scenarios.get('counters') as AnyScenario),
      name: 'bad',
      begin: (simulation, plan) => ({
        ...idle,
        rest: async () => undefined,
        verdict: async () => (simulation.seed === 5 ? [`${plan.faults.length} is wrong`] : []),
      }),
    };
    const { good, out } = await sim('sim --scenario bad --seed 3 --seeds 9', new Map([['bad', bad]]));
    expect(good).toBe(false);
    expect(out).toContain('bad: 3 seeds from 3');
    expect(out).toContain('to see it again: troupe sim --scenario bad --seed 5 --seeds 1');
    expect(out).toContain('smallest plan found:');
    const json = await sim('sim --scenario bad --seed 5 --seeds 1 --json', new Map([['bad', bad]]));
    expect(JSON.parse(json.out).smallest).toMatchObject({ operations: [], faults: expect.any(Array) });
    await expect(sim('sim --scenario other')).rejects.toThrow(
      /no scenario 'other'; there are counters, links, membership/,
    );
  });
});

const idle = {
  program: () => () => ({}),
  perform: async () => undefined,
  begun: () => undefined,
  told: () => undefined,
};

describe('what is printed', () => {
  it('tells apart what JSON lacks', () => {
    const value = { big: 2n ** 60n, bytes: new Uint8Array([1, 2]), map: new Map([['a', 1]]), none: undefined };
    expect(jsonOf(value)).toBe('{"big":"1152921504606846976","bytes":{"bytes":"AQI="},"map":[["a",1]],"none":null}');
    expect([jsonOf(undefined), jsonOf(new Set([1])), jsonOf(new Float32Array([1.5]))]).toEqual([
      'null',
      '[1]',
      '[1.5]',
    ]);
  });

  it('never moves the cursor', () => {
    const wild = 'a\u001b[2J\u009b5n\u0007';
    expect([keyText(wild), jsonOf(wild)]).toEqual(Array(2).fill('"a\\u001b[2J\\u009b5n\\u0007"'));
    expect(JSON.parse(jsonOf(wild))).toBe(wild);
    expect([keyText('grün:1'), keyText(new Uint8Array([0, 255]))]).toEqual(['grün:1', 'hex:00ff']);
  });
});

interface Said {
  readonly done: boolean;
  readonly out: string;
  readonly notes: string[];
}

/** A command on a data directory, in this process. */
async function say(dataDir: string, line: string, ...words: string[]): Promise<Said> {
  const notes: string[] = [];
  let out = '';
  const command = readCommand([...split(line), '--data-dir', dataDir, ...(words.length > 0 ? ['--', ...words] : [])]);
  if (command.name !== 'describe' && !('store' in command)) throw new Error(`not on data: ${line}`);
  const done = await runCommand(command, {
    out: async chunk => {
      out += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('latin1');
    },
    note: text => void notes.push(text),
  });
  return { done, out, notes };
}

describe('a data directory from the outside', () => {
  it('keeps what is put, replaces it, and forgets what is deleted', async () => {
    const dir = join(folder, 'kept');
    await say(dir, 'kv put --store s --create', 'a:1', 'hello world');
    expect(await say(dir, 'kv get --store s', 'a:1')).toMatchObject({ done: true, out: 'hello world\n', notes: [] });
    await say(dir, 'kv put --store s --parse --flushed', 'a:1', '{"n":[1,2]}');
    await say(dir, 'kv put --store s', 'b:1', 'x');
    expect(JSON.parse((await say(dir, 'kv get --store s --json', 'a:1')).out)).toMatchObject({
      found: true,
      value: { n: [1, 2] },
      values: [{ n: [1, 2] }],
    });
    expect((await say(dir, 'kv scan --store s')).out).toBe('a:1\t{"n":[1,2]}\nb:1\t"x"\n');
    expect((await say(dir, 'kv scan --store s --prefix b')).out).toBe('b:1\t"x"\n');
    expect((await say(dir, 'kv scan --store s --limit 1 --json')).out).toMatch(/^\{"key":"a:1",.*\}\n$/);
    expect((await say(dir, 'kv del --store s --json', 'a:1')).out).toBe('{"deleted":true}\n');
    expect((await say(dir, 'kv del --store s --json', 'a:1')).out).toBe('{"deleted":false}\n');
    expect(await say(dir, 'kv get --store s', 'a:1')).toEqual({
      done: false,
      out: '',
      notes: ["a:1 has no value in 's'"],
    });
  });

  it('shows what a service has written: siblings, bytes, stores and their options', async () => {
    const dir = join(folder, 'service');
    const node = await startNode({ name: 'svc', dataDir: dir, threads: 0 });
    const carts = await node.store('carts');
    await carts.put('a', 1);
    await carts.put('a', 2);
    await carts.put('raw', new Uint8Array([0, 200]));
    await node.store('flat', { siblings: false });
    await node.stop();
    const two = await say(dir, 'kv get --store carts', 'a');
    expect([two.out, two.notes]).toEqual(['2\n', ['2 concurrent values; this is the newest, --json shows all']]);
    expect((await say(dir, 'kv get --store carts', 'raw')).out).toBe('\u0000\u00c8');
    expect((await say(dir, 'describe --count')).out).toMatch(
      /^node svc, made .*, 64 partitions\nstore carts: 2 keys, n 1, .*\nstore flat: 0 keys, .*siblings false.*\n$/,
    );
    const described = JSON.parse((await say(dir, 'describe --json')).out);
    expect(described).toMatchObject({ name: 'svc', partitions: 64, stores: [{ name: 'carts' }, { name: 'flat' }] });
    await say(dir, 'kv put --store carts', 'a', 'one again');
    expect(JSON.parse((await say(dir, 'kv get --store carts --json', 'a')).out).values).toEqual(['one again']);
  });

  it('makes nothing by looking, and nothing by putting unless it is told to', async () => {
    const dir = join(folder, 'absent');
    for (const line of [
      'kv get --store s k',
      'kv del --store s k',
      'kv scan --store s',
      'describe',
      'kv put --store s k v',
    ])
      await expect(say(dir, line)).rejects.toMatchObject({ code: 'BAD_OPTION' });
    expect(readdirSync(folder)).not.toContain('absent');
    await say(dir, 'kv put --store s --create k v');
    await expect(say(dir, 'kv get --store other k')).rejects.toThrow("no store 'other' in this directory; there are s");
    await expect(say(dir, 'kv put --store other k v')).rejects.toMatchObject({ code: 'BAD_OPTION' });
    expect(JSON.parse((await say(dir, 'describe --json')).out).stores).toHaveLength(1);
  });

  it('is left alone while a node runs on it', async () => {
    const dir = join(folder, 'busy');
    await using node = await startNode({ dataDir: dir, threads: 0 });
    await expect(say(dir, 'describe')).rejects.toThrow(/in use by another node/);
    await node.stop();
    expect((await say(dir, 'describe')).out).toContain('no stores');
  });

  it('is left alone when it is of one of several nodes, and says whom to ask instead', async () => {
    const dir = join(folder, 'of-several');
    await oneOfTwo(dir);
    await expect(say(dir, 'describe')).rejects.toThrow(/of one of several nodes.*ask the node while it runs/);
  });
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function troupe(...args: string[]): Promise<Ended> {
  const file = join(import.meta.dirname, '../../src/doors/cli.ts');
  return new Promise(resolve => {
    execFile(process.execPath, [file, ...args], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

describe('the command as a process', () => {
  it('ends with 0, 2 or 3, and says why on stderr', async () => {
    const dir = join(folder, 'process');
    const of = ['--data-dir', dir, '--store', 's'];
    const [asked, version, wrong] = await Promise.all([troupe('--help'), troupe('--version'), troupe('kv')]);
    expect([asked.code, asked.out, asked.err]).toEqual([0, `${help}\n`, '']);
    expect([version.code, /^\d+\.\d+\.\d+\n$/.test(version.out)]).toEqual([0, true]);
    expect(wrong).toEqual({ code: 2, out: '', err: "there is no command 'kv'\nTry troupe --help.\n" });
    expect(await troupe('kv', 'put', 'k', 'v', ...of, '--create')).toEqual({ code: 0, out: '', err: '' });
    expect(await troupe('kv', 'get', 'k', ...of)).toEqual({ code: 0, out: 'v\n', err: '' });
    expect(await troupe('kv', 'get', 'q', ...of)).toEqual({ code: 3, out: '', err: "q has no value in 's'\n" });
    const refused = await troupe('kv', 'get', 'k', '--data-dir', dir, '--store', 'no', '--json');
    expect(refused.code).toBe(3);
    expect(JSON.parse(refused.err)).toMatchObject({ error: { code: 'BAD_OPTION', outcome: 'failed' } });
    const [misspoken, unlisted, strange] = await Promise.all([
      troupe('describe', dir, '--json'),
      troupe('describe', '--data-dir', dir, '--json', '--nonsense'),
      troupe('log', 'verify', '/dev/null/none', '--json'),
    ]);
    expect([misspoken.code, misspoken.out, JSON.parse(misspoken.err)]).toMatchObject([
      2,
      '',
      { error: { code: 'BAD_OPTION', message: expect.stringMatching(/did you mean --data-dir/) } },
    ]);
    expect([unlisted.code, JSON.parse(unlisted.err)]).toMatchObject([2, { error: { code: 'BAD_OPTION' } }]);
    expect([strange.code, JSON.parse(strange.err)]).toMatchObject([3, { error: { code: expect.any(String) } }]);
  }, 90_000);
});
