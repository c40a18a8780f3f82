// troupe.json: who the node of a data directory is, and the few numbers it must know before anything else is open.
//
//     write troupe.json.new ── fsync ── rename over troupe.json ── fsync the directory
//
// A rename is all or nothing, but it outlives a loss of power only once the directory itself is synced.
//
// The file also says which file it is: the number and the time of birth that the file system gave it. A copy of the directory has
// others, so a copy is noticed at start: two nodes that go on from one state would hand out the same epochs.
//
// Invariant: whatever instant the process or the machine dies at, troupe.json is a whole file, the old one or the new one;
// and when update() has resolved, it is the new one.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { TroupeError } from '../errors.ts';
import { restoredChunksMin, restoredChunksPerStep, restoredStepMs } from '../limits.ts';
import { makeDir } from './make-dir-store.ts';

const format = 1;
export const nodeFileName = 'troupe.json';
/** What engines keep in a data directory, and a backup at its top: without a node file beside it nobody may begin there. */
const leftovers = ['lmdb/data.mdb', 'troupe/manifest/data.mdb', 'backup.json'];
/** When neither the file nor the caller says otherwise. */
const partitionsDefault = 64;

export interface NodeFileContent {
  readonly format: typeof format;
  readonly name: string;
  /** 128 random bits in hex: two nodes of one name are still two. */
  readonly id: string;
  /** Fixed at the birth of the directory: keys are placed by it. */
  readonly partitions: number;
  /** Milliseconds since 1970. For people; nothing depends on it. */
  readonly createdAt: number;
  /** How often a process has started on this directory. */
  readonly bootCount: number;
  /** Chunks of epochs below this may have been used; above it, none has. */
  readonly epochChunkLimit: number;
  /** Of a node among others: its last life, and the ring it goes by, or its vote for the first one, which are theirs to read. */
  readonly incarnation?: number;
  readonly ring?: unknown;
  readonly vote?: unknown;
}

export interface WantedNode {
  /** Undefined: keep the stored one, or make one up. */
  readonly name?: string | undefined;
  /** Undefined: keep the stored number, or 64. */
  readonly partitions?: number | undefined;
}

/** What may change after the birth of the file. */
export type NodeFileChange = Partial<
  Pick<NodeFileContent, 'bootCount' | 'epochChunkLimit' | 'incarnation' | 'ring' | 'vote'>
>;

export class NodeFile {
  readonly path: string;
  readonly #dir: string;
  #content: NodeFileContent;
  /** Writes go one after the other: two of them share one temporary file. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(dir: string, content: NodeFileContent) {
    this.#dir = dir;
    this.path = join(dir, nodeFileName);
    this.#content = content;
  }

  /** What is on the disk, as far as every update() that has resolved is concerned. */
  get content(): NodeFileContent {
    return this.#content;
  }

  /** Resolves when the change is durable. The numbers only ever rise. UNKNOWN_OUTCOME: it may be, or not; any other failure: it is not. */
  update(change: NodeFileChange): Promise<void> {
    return this.#change(() => change);
  }

  /** To that limit, or to a higher one that somebody has asked for meanwhile: two may raise it at once. */
  raiseEpochLimit(limit: number): Promise<void> {
    return this.#change(({ epochChunkLimit }) => ({ epochChunkLimit: Math.max(limit, epochChunkLimit) }));
  }

  /** Counts one more start, durably, and says which it is. */
  async bump(): Promise<number> {
    await this.#change(({ bootCount }) => ({ bootCount: bootCount + 1 }));
    return this.#content.bootCount;
  }

  /** Resolves when nothing is written any more, before somebody else may: a write that came later would undo theirs. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
  }

  #change(make: (content: NodeFileContent) => NodeFileChange): Promise<void> {
    if (this.#closed) return Promise.reject(new TroupeError('STOPPED', `${this.path} is its node's no more`));
    const done = this.#last.then(async () => {
      const next = { ...this.#content, ...make(this.#content) };
      const falls = (field: 'bootCount' | 'epochChunkLimit' | 'incarnation'): boolean =>
        (next[field] ?? 0) < (this.#content[field] ?? 0);
      if (falls('bootCount') || falls('epochChunkLimit') || falls('incarnation')) {
        throw new TroupeError('BAD_OPTION', `The numbers in ${this.path} never go back.`, { details: { ...next } });
      }
      await write(this.#dir, next);
      this.#content = next;
    });
    this.#last = done.catch(() => {});
    return done;
  }
}

/** Reads the file of a data directory, or writes it if there is none. The caller holds the directory's lock. */
export async function openNodeFile(dir: string, wanted: WantedNode): Promise<NodeFile> {
  await makeDir(dir);
  const path = join(dir, nodeFileName);
  const found = await read(path);
  if (found !== undefined) {
    if (found.copied) throw copied(path);
    return new NodeFile(dir, agree(path, found.content, wanted));
  }
  refuseLeftovers(dir);
  const content = born(wanted);
  await write(dir, content);
  return new NodeFile(dir, content);
}

/** What the file of a data directory says; undefined when there is none. Changes nothing. */
export async function readNodeFile(dir: string): Promise<NodeFileContent | undefined> {
  return (await read(join(dir, nodeFileName)))?.content;
}

/**
 * A node that goes on from a state which somebody else may have gone on from for so many milliseconds: another id, and epochs
 * above all that the other one can have used. The last thing that is written of a restored directory.
 */
export async function writeSuccessor(dir: string, of: NodeFileContent, otherMs: number): Promise<NodeFileContent> {
  const steps = Math.ceil(Math.max(0, otherMs) / restoredStepMs);
  const content: NodeFileContent = {
    ...of,
    id: randomBytes(16).toString('hex'),
    epochChunkLimit: of.epochChunkLimit + restoredChunksMin + steps * restoredChunksPerStep,
  };
  await write(dir, content);
  return content;
}

function born({ name, partitions }: WantedNode): NodeFileContent {
  const id = randomBytes(16).toString('hex');
  return {
    format,
    name: name ?? `n-${id.slice(0, 8)}`,
    id,
    partitions: partitions ?? partitionsDefault,
    createdAt: Date.now(),
    bootCount: 0,
    epochChunkLimit: 1,
  };
}

interface Read {
  readonly content: NodeFileContent;
  readonly copied: boolean;
}

async function read(path: string): Promise<Read | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { self, ...content } = parse(path, await file.readFile('utf8')) as NodeFileContent & { self?: FileMark };
    return { content, copied: isCopy(self, await markOf(file)) };
  } finally {
    await file.close();
  }
}

/** Which file this is, as its file system says. */
interface FileMark {
  readonly inode: string;
  /** Nanoseconds since 1970; '0' where the file system does not know, 'unused' where it does not stay the same. */
  readonly bornNs: string;
}

async function markOf(file: FileHandle): Promise<FileMark> {
  const { ino, birthtimeNs } = await file.stat({ bigint: true });
  // NTFS gives a file that is renamed over another one the birth of that one, for 15 s.
  return { inode: String(ino), bornNs: process.platform === 'win32' ? 'unused' : String(birthtimeNs) };
}

/**
 * Devices get other numbers with each start of a machine, so they say nothing; and file systems without a time of birth are
 * often those whose inodes do not last either (FUSE). There a copy is not noticed, which is better than a node that refuses to start.
 */
function isCopy(stored: FileMark | undefined, found: FileMark): boolean {
  if (typeof stored !== 'object' || stored === null) return false;
  if (stored.bornNs === '0' || found.bornNs === '0') return false;
  return stored.inode !== found.inode || stored.bornNs !== found.bornNs;
}

function copied(path: string): TroupeError {
  return new TroupeError(
    'BAD_OPTION',
    `${path} is a copy: two nodes must not go on from one state. Let a node have a directory from a backup (troupe restore); or, if the node it was copied from will never start again, say so with: troupe adopt`,
    { details: { path, copied: true } },
  );
}

function refuseLeftovers(dir: string): void {
  const found = leftovers.find(name => existsSync(join(dir, name)));
  if (found === undefined) return;
  const reason =
    found === 'backup.json'
      ? `${dir} is a backup, not a data directory: troupe restore makes one of it.`
      : `${dir} holds ${found}, but no ${nodeFileName}: it was not restored to the end, or is part of a backup. Restore it into an empty directory.`;
  throw new TroupeError('BAD_OPTION', reason, { details: { dir, found } });
}

function agree(path: string, content: NodeFileContent, wanted: WantedNode): NodeFileContent {
  for (const what of ['partitions', 'name'] as const) {
    if (wanted[what] === undefined || wanted[what] === content[what]) continue;
    throw new TroupeError(
      'BAD_OPTION',
      `${path} was made with ${what} ${content[what]}, and ${wanted[what]} is wanted. It cannot change: ask for ${content[what]}, or use another directory.`,
      { details: { path, what, stored: content[what], wanted: wanted[what] } },
    );
  }
  return content;
}

function parse(path: string, text: string): NodeFileContent {
  let content: Partial<Record<keyof NodeFileContent, unknown>>;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw damaged(path, 'it is not JSON', cause);
  }
  if (typeof content !== 'object' || content === null) throw damaged(path, 'it is not an object');
  const { format: found } = content;
  if (typeof found === 'number' && found > format) {
    throw new TroupeError(
      'BAD_OPTION',
      `${path} has format ${found}, this version knows ${format}. Use the newer version that wrote it.`,
      { details: { path, format: found, known: format } },
    );
  }
  for (const [field, holds] of fields) {
    if (!holds(content[field])) throw damaged(path, `${field} is ${JSON.stringify(content[field])}`);
  }
  return content as NodeFileContent;
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const fields: readonly (readonly [keyof NodeFileContent, (value: unknown) => boolean])[] = [
  ['format', value => value === format],
  ['name', value => typeof value === 'string' && value !== ''],
  ['id', value => typeof value === 'string' && /^[0-9a-f]{32}$/.test(value)],
  ['partitions', value => isCount(value) && (value as number) > 0],
  ['createdAt', isCount],
  ['bootCount', isCount],
  ['epochChunkLimit', isCount],
  ['incarnation', value => value === undefined || isCount(value)],
];

function damaged(path: string, reason: string, cause?: unknown): TroupeError {
  const remedy = 'Restore it from a backup, or start on an empty directory and let the replicas fill it.';
  return new TroupeError('CORRUPT', `${path} is damaged: ${reason}. ${remedy}`, { details: { path, reason }, cause });
}

async function write(dir: string, content: NodeFileContent): Promise<void> {
  const path = join(dir, nodeFileName);
  const file = await open(`${path}.new`, 'w');
  try {
    // A rename keeps both.
    const self = await markOf(file);
    await file.writeFile(`${JSON.stringify({ ...content, self }, undefined, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  try {
    await syncDirectory(dir);
  } catch (cause) {
    const why = `${path} has been replaced, but whether that outlives a loss of power is not known`;
    throw new TroupeError('UNKNOWN_OUTCOME', why, { cause, details: { path } });
  }
}

async function syncDirectory(dir: string): Promise<void> {
  const directory = await open(dir, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
