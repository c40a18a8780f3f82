// On how many disks something is that was acknowledged, and what copies they say they hold: looked up where it lies, and not asked of the protocol, which may be what is
// wrong.
//
//     n1 told 'ok'  ─▶  disk of n1: there     of n2: there     of n3, which is down: not there     ─▶ two

import { ownerOfRecord } from '../../runtime/actor-records.ts';
import type { Codec } from '../../runtime/codec.ts';
import type { Host } from '../../runtime/host.ts';
import { partitionOf } from '../../runtime/partition.ts';
import { type ReplicaRecord, ReplicaRecords } from '../../runtime/replicas/replica-records.ts';
import { nameOf } from '../../storage/key.ts';
import type { SimDisk } from './disk.ts';
import { partitions } from './node-plan.ts';

export interface Stored {
  readonly unit: string;
  readonly by: string;
  readonly number: number;
}

export function disksWith(line: Stored, disks: readonly SimDisk[], codec: Codec): number {
  return disks.filter(disk => isOn(disk, line, codec)).length;
}

/** Of a disk that has just failed nobody knows: it has the benefit of the doubt. */
function isOn(disk: SimDisk, { unit, by, number }: Stored, codec: Codec): boolean {
  const isIt = (value: unknown): boolean => Array.isArray(value) && value[0] === by && value[1] === number;
  // Quick: the most of a partition are of others.
  const within = nameOf(new TextEncoder().encode(unit.replace('/', '\0')));
  try {
    for (const { key, value } of disk.records(`a/${partitionOf(unit.slice(unit.indexOf('/') + 1), partitions)}`)) {
      if (!nameOf(key).includes(within) || ownerOfRecord(key)?.join('/') !== unit) continue;
      // A snapshot is all of its lines, an event is one.
      const stored = codec.decode(value);
      if (isIt(stored) || (Array.isArray(stored) && stored.some(isIt))) return true;
    }
    return false;
  } catch {
    return true;
  }
}

export interface KeptRow extends ReplicaRecord {
  readonly partition: number;
}

/** The copies a node has by what it has written down of them. Of a disk that has failed nobody knows. */
export function keptOn(disk: SimDisk): KeptRow[] {
  try {
    const engine = { shard: (name: string) => ({ scan: () => disk.records(name) }) };
    const records = new ReplicaRecords({ engine } as unknown as Host);
    records.load();
    return records.kept().map(([partition, record]) => ({ ...record, partition }));
  } catch {
    return [];
  }
}

/** At rest what an actor has in memory is what its node would read if it were started anew. */
export function unlikeStored(
  unit: string,
  held: readonly (readonly [by: string, number: number])[],
  disk: SimDisk,
  codec: Codec,
): string[] {
  const stored = new Set<string>();
  for (const { key, value } of disk.records(`a/${partitionOf(unit.slice(unit.indexOf('/') + 1), partitions)}`)) {
    // Answers that are kept for a second try are no lines.
    if (ownerOfRecord(key)?.join('/') !== unit || key[0] === answersTag) continue;
    const lines = codec.decode(value) as readonly unknown[];
    for (const line of typeof lines[0] === 'string' ? [lines] : lines) stored.add((line as unknown[]).join(' '));
  }
  const has = new Set(held.map(line => line.join(' ')));
  return [
    ...[...stored]
      .filter(line => !has.has(line))
      .map(line => `${unit}: ${line} is on its disk, and it does not have it`),
    ...[...has].filter(line => !stored.has(line)).map(line => `${unit}: ${line} is not on its disk, and it has it`),
  ];
}

const answersTag = 'o'.charCodeAt(0);
