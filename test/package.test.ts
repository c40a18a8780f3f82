// The package as others get it: built, packed, installed from the tarball into an empty folder, and used from there.
//
// Tests of the sources miss what only breaks in the shipped form: an entry point that was not built, a worker that looks
// for a .ts file inside node_modules (where Node refuses to strip types), a type that names a file we do not ship, a
// dependency that only we have, an example that rotted. The consumers are test/package/*: a plain JavaScript one, and the
// README's own example as TypeScript, type-checked and run.
//
// Slow (about a minute with a cold npm cache); needs npm and, the first time, the registry for our four dependencies.

import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exampleFiles } from './package/readme-example.ts';

interface Manifest {
  readonly name: string;
  readonly exports: Record<string, string | Record<string, string>>;
  readonly bin?: Record<string, string>;
}

const root = join(import.meta.dirname, '..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
const entryPoints = Object.keys(manifest.exports).filter(entry => !entry.endsWith('.json'));
const folder = mkdtempSync(join(tmpdir(), 'troupe-package-'));
const app = join(folder, 'app');
const minutesMs = 60_000;
let packed: string[] = [];

/** Runs a command on this very Node, without what npm and vitest tell their children; a failure carries its output. */
async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const told =
    /^(npm_(package|lifecycle|command|execpath|config_(local_)?prefix)|INIT_CWD|NODE_(ENV|OPTIONS)|VITEST|TEST$)/;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !told.test(name)));
  env.PATH = `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`;
  try {
    const { stdout } = await promisify(execFile)(command, args, {
      cwd,
      env,
      timeout: 3 * minutesMs,
      maxBuffer: 16 << 20,
    });
    return stdout;
  } catch (thrown) {
    const { code, stdout, stderr } = thrown as { code?: unknown; stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(' ')} ended with ${String(code)}\n${stdout ?? ''}\n${stderr ?? ''}`);
  }
}

beforeAll(async () => {
  await run(root, 'npm', 'run', 'build');
  const report = await run(root, 'npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', folder);
  const [tarball] = JSON.parse(report) as [{ filename: string; files: { path: string }[] }];
  packed = tarball.files.map(file => file.path);

  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }));
  await run(
    app,
    'npm',
    'install',
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    join(folder, tarball.filename),
  );
  cpSync(join(root, 'test/package'), app, { recursive: true });
}, 5 * minutesMs);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the tarball', () => {
  it('holds every file that package.json points at', () => {
    const pointed = [...Object.values(manifest.exports), ...Object.values(manifest.bin ?? {})]
      .flatMap(target => (typeof target === 'string' ? [target] : Object.values(target)))
      .map(target => target.replace(/^\.\//, ''));
    // A name that is missing here was never built: its source, src/<name>.ts, does not exist (yet).
    expect(pointed.filter(file => !packed.includes(file))).toEqual([]);
  });

  it('holds what was built, a README and the manifest, and nothing else', () => {
    expect(packed).toContain('README.md');
    expect(
      packed.filter(file => !/^(dist\/.*\.(js|d\.ts|map|html|css)|README\.md|LICENSE|package\.json)$/.test(file)),
    ).toEqual([]);
  });

  it('brings in no package but the four we depend on and theirs', async () => {
    const tree = JSON.parse(await run(app, 'npm', 'ls', '--json', '--depth', '1')) as {
      dependencies: Record<string, { dependencies?: Record<string, unknown> }>;
    };
    expect(Object.keys(tree.dependencies[manifest.name]?.dependencies ?? {}).sort()).toEqual([
      'eventemitter3',
      'lmdb',
      'msgpackr',
      'piscina',
    ]);
  });
});

describe('a JavaScript consumer of the installed package', () => {
  it('finds something behind every entry point', async () => {
    const names = JSON.parse(await run(app, process.execPath, 'entry-points.js', ...entryPoints)) as Record<
      string,
      string[]
    >;
    expect(Object.keys(names)).toEqual(entryPoints);
    for (const entry of entryPoints) expect(names[entry], entry).not.toEqual([]);
  });

  it(
    'has its actors hosted on worker threads, and finds their state again in a second process',
    async () => {
      const first = JSON.parse(await run(app, process.execPath, 'consumer.js')) as {
        sums: number[];
        threads: number[];
      };
      expect(first.sums).toEqual(first.sums.map(() => 2));
      expect(first.threads.length, 'threads that host an actor').toBeGreaterThan(1);
      const second = JSON.parse(await run(app, process.execPath, 'consumer.js')) as { sums: number[] };
      expect(second.sums).toEqual(first.sums.map(() => 4));
    },
    minutesMs,
  );

  it.each(Object.keys(manifest.bin ?? {}))('can ask the command %s for help', async command => {
    expect(await run(app, join(app, 'node_modules/.bin', command), '--help')).not.toBe('');
  });
});

describe("the README's example", () => {
  const readme = join(root, 'README.md');
  const files = exampleFiles(existsSync(readme) ? readFileSync(readme, 'utf8') : '');
  const example = join(app, 'example');

  it('is the first ts block of README.md, and imports the package', () => {
    expect(files, 'README.md needs a ```ts block').not.toEqual([]);
    expect(files.map(file => file.source).join('\n')).toContain(`from '${manifest.name}'`);
  });

  it(
    'type-checks against the types we ship, strictly, ours included',
    async () => {
      mkdirSync(example, { recursive: true });
      for (const { name, source } of files) writeFileSync(join(example, name), source);
      const options = {
        extends: '../tsconfig.json',
        // The consumer's own @types/node; taken from our tree, so that nothing more has to be fetched.
        compilerOptions: { typeRoots: [join(root, 'node_modules/@types')] },
        include: ['.'],
      };
      writeFileSync(join(example, 'tsconfig.json'), JSON.stringify(options));
      await run(example, join(root, 'node_modules/.bin/tsc'), '-p', 'tsconfig.json');
    },
    minutesMs,
  );

  it(
    'runs as it stands, through type stripping, says something and ends',
    async () => {
      const last = files.at(-1)?.name;
      expect(last, 'README.md needs a ```ts block').toBeDefined();
      expect(await run(example, process.execPath, last as string)).not.toBe('');
    },
    minutesMs,
  );
});
