// What those commands of `troupe` do that work on files, with no node: look a log over, make a backup, restore one.

import { StoresT, storesKey } from '../actors/stores-actor.ts';
import { TroupeError } from '../index.ts';
import { type BackupProgress, makeBackup } from '../storage/backup/backup-store.ts';
import { adoptDirectory, kindOf, restoreBackup, restorePartition } from '../storage/backup/restore-store.ts';
import { acquireDirLock } from '../storage/dir-lock.ts';
import { openNodeFile, readNodeFile } from '../storage/node-file.ts';
import { openEngine } from '../storage/open-engine.ts';
import { dumpDirectory, type Findings, type ShownFrame, verifyDirectory } from '../storage/verify-store.ts';
import { openAlone } from './cli-alone.ts';
import type { FileCommand } from './cli-arguments.ts';
import type { Output } from './cli-commands.ts';
import { jsonOf } from './cli-json.ts';

type Of<Name extends FileCommand['name']> = Extract<FileCommand, { readonly name: Name }>;

/** False when something is damaged. Throws TroupeError. */
export async function runFileCommand(command: FileCommand, output: Output): Promise<boolean> {
  switch (command.name) {
    case 'log verify':
      return verify(command, output);
    case 'log dump':
      return dump(command, output);
    case 'backup':
      return backup(command, output);
    case 'restore':
      return command.partition === undefined ? restore(command, output) : partition(command, command.partition, output);
    case 'adopt':
      return adopt(command, output);
  }
}

async function verify({ dir, json }: Of<'log verify'>, { out }: Output): Promise<boolean> {
  const findings = await verifyDirectory(dir);
  await out(json ? `${jsonOf(findings)}\n` : `${linesOf(findings).join('\n')}\n`);
  return findings.sound;
}

function linesOf({ dir, sound, manifest, segments, runs, files }: Findings): string[] {
  const lines = segments.map(({ file, state, groups, end, lsnMax, reason }) => {
    const why = reason === '' ? '' : `, at ${end}: ${reason}`;
    return `log  ${file}  ${state}${state === 'flushed' ? '' : `, ${groups} groups up to ${lsnMax}`}${why}`;
  });
  for (const { file, damage, filterDamage, records, deletes } of runs) {
    lines.push(
      `run  ${file}  ${damage === '' ? 'sound' : `DAMAGED: ${damage}`}, ${records} records, ${deletes} deletions`,
    );
    if (filterDamage !== '') lines.push(`run  ${file}  its filter is DAMAGED: ${filterDamage}`);
  }
  for (const { path, damage } of files) lines.push(`file  ${path}  DAMAGED: ${damage}`);
  if (manifest !== '') lines.push(`manifest DAMAGED: ${manifest}`);
  return [...lines, `${dir} is ${sound ? 'sound' : 'DAMAGED'}: ${segments.length} segments, ${runs.length} runs`];
}

async function dump({ dir, segment, json }: Of<'log dump'>, { out }: Output): Promise<boolean> {
  let sound = true;
  await dumpDirectory(dir, segment, async frame => {
    sound &&= frame.ops.every(({ record }) => record !== 'damaged');
    await out(json ? `${jsonOf(frame)}\n` : lineOf(frame));
  });
  return sound;
}

function lineOf({ file, at, kind, lsn, shard, name, epoch, ops }: ShownFrame): string {
  const head = `${file}  ${at}  ${kind} ${lsn}`;
  if (kind !== 'group') return `${head}\n`;
  const shown = ops.map(({ type, key, recordBytes, record }) =>
    type === 'delete' ? `delete ${key}` : `put ${key} ${recordBytes} bytes${record === 'ok' ? '' : ` ${record}`}`,
  );
  return `${head}  shard ${shard} ${name ?? '(dropped)'}  epoch ${epoch}  ${shown.join(', ')}\n`;
}

async function backup({ dataDir, target, json }: Of<'backup'>, { out, note }: Output): Promise<boolean> {
  if ((await readNodeFile(dataDir)) === undefined) throw notOurs(dataDir);
  const lock = await acquireDirLock(dataDir);
  try {
    const file = await openNodeFile(dataDir, {});
    const engine = openEngine({ kind: kindOf(dataDir), dir: dataDir });
    try {
      const node = () => file.content;
      const made = { engine, dir: target, node, now: Date.now, onProgress: progressTo(note) };
      const { dir, at, ...counts } = await makeBackup(made);
      if (json) await out(`${jsonOf({ dir, at, ...counts })}\n`);
      else
        await out(
          `${dir}: ${sizeOf(counts.bytes)} in ${counts.files} files, ${counts.runs} runs (${counts.linked} linked)\n`,
        );
      return true;
    } finally {
      await engine.close();
    }
  } finally {
    await lock.release();
  }
}

async function restore({ backup, dataDir, json }: Of<'restore'>, { out, note }: Output): Promise<boolean> {
  const done = await restoreBackup({ backup, dataDir, now: Date.now, onProgress: progressTo(note) });
  const { name } = done.node;
  if (json) await out(`${jsonOf(done)}\n`);
  else
    await out(`${done.dataDir}: node ${name} as of ${timeOf(done.at)}, ${sizeOf(done.bytes)} in ${done.files} files\n`);
  return true;
}

async function partition(
  { backup, dataDir, json }: Of<'restore'>,
  partition: number,
  { out, note }: Output,
): Promise<boolean> {
  const stores = await storesOf(dataDir);
  const done = await restorePartition({
    backup,
    dataDir,
    partition,
    stores,
    now: Date.now,
    onProgress: progressTo(note),
  });
  if (json) {
    await out(`${jsonOf(done)}\n`);
    return true;
  }
  for (const { store, records } of done.restored)
    await out(`store ${store}: partition ${partition} as of ${timeOf(done.at)}, ${records} keys\n`);
  for (const store of done.left) note(`store ${store} is not in the backup, and stays as it is`);
  return true;
}

/** The others have gone on from what is newer than the backup; a partition of the past beside theirs is nobody's. */
const wholeOnly =
  "what such a node has stored is taken back whole: 'troupe restore BACKUP DIR' into an empty directory, and its node starts there with 'listen', as before";

/** A node has to say it: the list is an actor's. */
async function storesOf(dataDir: string): Promise<string[]> {
  if ((await readNodeFile(dataDir)) === undefined) throw notOurs(dataDir);
  await using node = await openAlone(dataDir, wholeOnly);
  return (await node.ref(StoresT, storesKey).list()).map(([name]) => name);
}

async function adopt({ dataDir, json }: Of<'adopt'>, { out }: Output): Promise<boolean> {
  const node = await adoptDirectory(dataDir, Date.now());
  await out(json ? `${jsonOf(node)}\n` : `${dataDir}: node ${node.name} goes on here, as ${node.id}\n`);
  return true;
}

/** A line for every tenth of the way. */
function progressTo(note: Output['note']): (progress: BackupProgress) => void {
  let told = 0;
  return ({ bytes, bytesTotal }) => {
    const tenths = bytesTotal === 0 ? 0 : Math.floor((10 * bytes) / bytesTotal);
    if (tenths <= told) return;
    told = tenths;
    note(`${tenths * 10} % of ${sizeOf(bytesTotal)}`);
  };
}

function notOurs(dataDir: string): TroupeError {
  return new TroupeError('BAD_OPTION', `${dataDir} is not a data directory of Troupe`);
}

function sizeOf(bytes: number): string {
  const [unit, size] = bytes < 1e6 ? ['KB', 1e3] : bytes < 1e9 ? ['MB', 1e6] : ['GB', 1e9];
  return `${(bytes / (size as number)).toFixed(1)} ${unit}`;
}

function timeOf(at: number): string {
  return new Date(at).toISOString();
}
