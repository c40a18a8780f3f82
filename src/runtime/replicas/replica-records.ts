// What a node knows of a partition that it keeps, or has kept, a copy of: durable before anybody is told.
//
//     turn, groups, round    whose copy, who else has one, and up to which round it has been acknowledged
//     promised               the highest turn this node has agreed to, and for whom: to nobody else under that turn
//
//     epochs of a node       below which it runs what it owns: whoever takes over from it begins above them, this one after a restart, too
//
// Invariants: `promised` never falls, nor do the epochs of a node; a copy that is not whole keeps its round, for that has been acknowledged: who wants to own
// the partition must have as much.

import { TroupeError } from '../../errors.ts';
import type { Engine, Shard } from '../../storage/engine.ts';
import type { Host } from '../host.ts';
import type { Groups, Position } from './groups.ts';
import type { Denied } from './lease.ts';

export interface ReplicaRecord {
  readonly turn: number;
  readonly groups: Groups;
  readonly round: number;
  /** It holds all of that round, and not more than writes of which nobody has heard. */
  readonly whole: boolean;
  /** This node owned it then: whatever was acknowledged under that turn is here. */
  readonly led: boolean;
  readonly promised: number;
  readonly promisedTo: string;
  /** What ran under that owner did so under epochs below this one. */
  readonly epoch: number;
}

/** Of what has been acknowledged of it here. */
export function positionOf({ turn, round, led }: ReplicaRecord): Position {
  return { turn, round: led ? Number.MAX_SAFE_INTEGER : round };
}

export const noRecord: ReplicaRecord = {
  turn: -1,
  groups: [],
  round: -1,
  whole: false,
  led: false,
  promised: -1,
  promisedTo: '',
  epoch: 0,
};

const shardName = 'replicas';
/** By name of a node: a number. */
const epochsShardName = 'replica-epochs';
const nothing = new Uint8Array(0);
const text = new TextEncoder();

/** Throws BAD_OPTION where others keep what lies here, too: served without them it would be something else than what they have. */
export function refuseKept(engine: Pick<Engine, 'shards' | 'shard'>): void {
  if (!engine.shards().includes(shardName) || engine.shard(shardName).count() === 0) return;
  throw new TroupeError(
    'BAD_OPTION',
    "several nodes keep the partitions in this directory: start the node with the option 'replicas' as before",
    { details: { option: 'replicas' } },
  );
}

export class ReplicaRecords {
  readonly #host: Host;
  readonly #records = new Map<number, ReplicaRecord>();
  readonly #epochs = new Map<string, number>();
  /** What is just being written of them. */
  readonly #hearing = new Map<string, { readonly below: number; readonly done: Promise<void> }>();
  /** Changes of one partition, or of the epochs of one node, go one after the other. */
  readonly #last = new Map<number | string, Promise<unknown>>();

  constructor(host: Host) {
    this.#host = host;
  }

  /** Throws CORRUPT. */
  load(): void {
    const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
    for (const { key, value } of this.#shard(shardName).scan())
      this.#records.set(Number(decode(key)), JSON.parse(decode(value)));
    for (const { key, value } of this.#shard(epochsShardName).scan())
      this.#epochs.set(decode(key), JSON.parse(decode(value)));
  }

  #shard(name: string): Shard {
    return this.#host.engine.shard(name);
  }

  get(partition: number): ReplicaRecord {
    return this.#records.get(partition) ?? noRecord;
  }

  all(): (readonly [partition: number, record: ReplicaRecord])[] {
    return [...this.#records];
  }

  /** Those that are kept here, or were when it was last heard. */
  kept(): (readonly [partition: number, record: ReplicaRecord])[] {
    return this.all().filter(([, { groups }]) => groups.length > 0);
  }

  /**
   * Partitions of that node for which this one has promised a later turn to another; and those that it was to stay the owner of, under a later
   * turn, when another one had become it under an earlier turn.
   */
  promisedAgainst(
    name: string,
    ownerOf: (partition: number) => string | undefined,
    turnOf: (partition: number) => number,
  ): Denied {
    return this.all().flatMap(([partition, { promised, promisedTo }]): Denied => {
      const isDenied = (ownerOf(partition) === name) !== (promisedTo === name) && promised > turnOf(partition);
      return isDenied ? [[partition, promised]] : [];
    });
  }

  /**
   * `make` sees what holds when its turn comes; undefined: it stays. Resolves with what holds when it survives the power. Rejects as a write
   * does; what it throws itself is passed on, and nothing has changed.
   */
  change(partition: number, make: (record: ReplicaRecord) => ReplicaRecord | undefined): Promise<ReplicaRecord> {
    return this.#inTurn(partition, async () => {
      const now = this.get(partition);
      const next = make(now);
      if (next === undefined) return now;
      await this.#store(shardName, String(partition), next);
      this.#records.set(partition, next);
      return next;
    });
  }

  /** What ran on that node did so under epochs below this one, as far as it is known. */
  epochsOf(node: string): number {
    return this.#epochs.get(node) ?? 0;
  }

  /** Undefined: that is known. Else it resolves when it survives the power, and rejects as a write does. */
  hearEpochs(node: string, below: number): Promise<void> | undefined {
    if (below <= this.epochsOf(node)) return undefined;
    const now = this.#hearing.get(node);
    if (now !== undefined && now.below >= below) return now.done;
    const done = this.#inTurn(node, async () => {
      await this.#store(epochsShardName, node, below);
      this.#epochs.set(node, below);
    });
    const hearing = { below, done };
    this.#hearing.set(node, hearing);
    const over = (): void => {
      if (this.#hearing.get(node) === hearing) this.#hearing.delete(node);
    };
    done.then(over, over);
    return done;
  }

  #inTurn<T>(of: number | string, step: () => Promise<T>): Promise<T> {
    const before = this.#last.get(of) ?? Promise.resolve();
    const done = before.then(step);
    const settled = done.catch(() => undefined);
    this.#last.set(of, settled);
    void settled.then(() => {
      if (this.#last.get(of) === settled) this.#last.delete(of);
    });
    return done;
  }

  async #store(shard: string, name: string, what: unknown): Promise<void> {
    const { epochs } = this.#host;
    epochs.renew();
    const [key, value] = [text.encode(name), text.encode(JSON.stringify(what))];
    const ops = [{ type: 'put', key, version: nothing, value } as const];
    await this.#shard(shard).commit({ epoch: epochs.next(), fence: 'record', ops }, 'flushed');
  }
}
