// The stored records of actors that move: copied, stored and removed, where the place they go to has a disk of its own.
//
// Threads of one node share its engine, unless it is memory; nodes never do. keep() leaves exactly what came: something older of the
// same actor may lie there, of an earlier stay that ended in a crash.

import type { Shard, WriteOp } from '../storage/engine.ts';
import type { Activation } from './activation.ts';
import { equal, eventKey, eventPrefix, memoKey, snapshotKey } from './actor-records.ts';
import type { Host } from './host.ts';
import { partitionOf } from './partition.ts';

/** A record of an actor on its way to another engine. */
export type RecordCopy = readonly [key: Uint8Array, version: Uint8Array, value: Uint8Array];

const eventsEnd: number = 2 ** 48 - 1;

export class MovingRecords {
  private readonly host: Host;

  constructor(host: Host) {
    this.host = host;
  }

  private shardAt(key: string): Shard {
    return this.host.engine.shard(`a/${partitionOf(key, this.host.partitions)}`);
  }

  /** `toNode`: to a disk of its own; else only what threads do not share. */
  copy(act: Activation, toNode: boolean): RecordCopy[] {
    const { persists, name } = act.hosted;
    return persists && (toNode || !this.host.engine.shared) ? this.find(name, act.key) : [];
  }

  private find(type: string, key: string): RecordCopy[] {
    const shard = this.shardAt(key);
    const prefix = eventPrefix(type, key);
    const found = [snapshotKey(type, key), memoKey(type, key)].map(each => shard.get(each));
    found.push(...shard.scan({ from: eventKey(prefix, 0), to: eventKey(prefix, eventsEnd) }));
    return found.filter(each => each !== undefined).map(each => [each.key, each.version, each.value]);
  }

  /** Resolves when these, and no others of that actor, are durable. */
  async keep(type: string, key: string, epoch: number, records: readonly RecordCopy[]): Promise<void> {
    const stale = this.find(type, key).filter(([old]) => !records.some(([name]) => equal(name, old)));
    const ops = [...stale.map(([old]) => ({ type: 'delete', key: old }) as const), ...records.map(putOf)];
    if (ops.length > 0) await this.shardAt(key).commit({ epoch, fence: 'record', ops }, 'flushed');
  }

  put(key: string, epoch: number, records: readonly RecordCopy[]): void {
    this.change(key, epoch, records.map(putOf));
  }

  drop(act: Activation, records: readonly RecordCopy[]): void {
    const ops = records.map(([key]) => ({ type: 'delete', key }) as const);
    this.change(act.key, act.epochNumber, ops);
  }

  private change(key: string, epoch: number, ops: readonly WriteOp[]): void {
    if (ops.length === 0) return;
    this.shardAt(key)
      .commit({ epoch, fence: 'record', ops }, 'committed')
      .catch(error => this.host.world.log.error({ err: error }, 'the records of a moved actor could not be changed'));
  }
}

function putOf([key, version, value]: RecordCopy): WriteOp {
  return { type: 'put', key, version, value };
}
