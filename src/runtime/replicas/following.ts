// Partitions that this node keeps a copy of for their owners: what comes is stored where its own records lie, and nothing of it runs.
//
//     begin ─▶ pages that differ ─▶ round: durable, and the round with it ─▶ round ─▶ round            out ─▶ cleared away
//
// Intuition: a round is one moment of the partition. While one is being stored the copy is of no moment: should this node stop just then,
// its next life has the copy compared, page by page (`isSure`).
//
// Invariant: only the owner is listened to, under the turn that was promised, or a later one; a round that has been acknowledged is durable.

import { TroupeError } from '../../errors.ts';
import { followerStepsMax, roundPartsMax } from '../../limits.ts';
import type { FarRouter } from '../far-router.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { numberIn, textIn } from '../gateway/words.ts';
import type { Crew } from '../handoff/crew.ts';
import type { Part, Span } from '../handoff/hands-records.ts';
import type { RecordCopy } from '../moving-records.ts';
import type { Begun } from './follower.ts';
import type { Groups, Position } from './groups.ts';
import type { ReplicaRecord, ReplicaRecords } from './replica-records.ts';

interface Asked {
  readonly partition: number;
  readonly turn: number;
  /** Which time it is that the owner leads it. */
  readonly life: number;
}

const noop = (): void => undefined;

export class Following {
  readonly #router: FarRouter;
  readonly #gateway: Gateway;
  readonly #crew: Crew;
  readonly #records: ReplicaRecords;
  readonly #turnOf: (partition: number) => number;
  /** Their copies are of one moment: whole rounds and nothing else has come to them in this life. */
  readonly #sure = new Set<number>();
  /** And nothing that the owner had not sent to anybody else by then. */
  readonly #exact = new Set<number>();
  /** Of a round that comes in several parts, those that are here. */
  readonly #parts = new Map<number, Part[]>();
  /** Steps that wait for the one before. */
  readonly #lines = new Map<number, { length: number; last: Promise<void> }>();
  /** Of the owner's own life: rounds of the one before come to nothing. */
  readonly #lives = new Map<number, number>();
  /** Something of them has been stored that the loss of power may take. */
  readonly #unsettled = new Set<number>();

  constructor(
    router: FarRouter,
    gateway: Gateway,
    parts: { crew: Crew; records: ReplicaRecords; turnOf: (partition: number) => number },
  ) {
    this.#router = router;
    this.#gateway = gateway;
    this.#crew = parts.crew;
    this.#records = parts.records;
    this.#turnOf = parts.turnOf;
    gateway.on('rep-begin', (from, asked) => this.#inTurn(asked, () => this.#begin(from, asked)));
    gateway.on('rep-same', (from, asked) => this.#inTurn(asked, () => this.#same(from, asked)));
    gateway.on('rep-store', (from, asked) => this.#inTurn(asked, () => this.#store(from, asked)));
    gateway.on('rep-part', (from, asked) => this.#inTurn(asked, () => this.#part(from, asked)));
    gateway.on('rep-round', (from, asked) => this.#inTurn(asked, () => this.#round(from, asked)));
    gateway.on('rep-out', (from, told) => {
      this.#inTurn(told, () => this.#out(from, told)).catch(error => {
        router.host.world.log.warn(
          { err: error, partition: told?.partition },
          'a copy that nobody wants could not be removed',
        );
      });
    });
  }

  /**
   * One step of a partition after the other, as they were sent: an owner whose link broke, or who has been started anew, begins again, and
   * what it had sent before may still be on its way to a slow disk.
   */
  #inTurn<T>(asked: Asked | null | undefined, step: () => Promise<T>): Promise<T> {
    const partition = numberIn(asked?.partition);
    const line = this.#lines.get(partition) ?? { length: 0, last: Promise.resolve() };
    this.#lines.set(partition, line);
    if (line.length >= followerStepsMax) {
      const why = `${followerStepsMax} steps of a copy of partition ${partition} wait here already: the disk is slow`;
      return Promise.reject(new TroupeError('OVERLOADED', why, { details: { partition } }));
    }
    line.length++;
    const done = line.last.then(step);
    line.last = done.then(noop, noop).then(() => {
      if (--line.length === 0) this.#lines.delete(partition);
    });
    return done;
  }

  /** Where its copy is, if it is of one moment. */
  origin(partition: number): Position | undefined {
    const { turn, round, whole } = this.#records.get(partition);
    return whole && this.#exact.has(partition) ? { turn, round } : undefined;
  }

  /** It is this node's own, and all of it is here; or was until now. */
  isSure(partition: number, isSure: boolean): void {
    for (const set of [this.#sure, this.#exact])
      if (isSure) set.add(partition);
      else set.delete(partition);
  }

  /** Throws BAD_MESSAGE when it is not the owner who speaks. */
  #owner(from: number, asked: Asked | null | undefined): string {
    const partition = numberIn(asked?.partition);
    const name = this.#gateway.nameOf(from);
    if (name !== undefined && this.#gateway.nodes.ownerOf(partition) === name) return name;
    throw new TroupeError('BAD_MESSAGE', `node ${name} is not the owner of partition ${partition}`);
  }

  /** Throws FENCED when a later turn has been agreed to. */
  #check({ promised, promisedTo }: ReplicaRecord, { partition, turn }: Asked, name: string): void {
    // Promised to one who did not win it: the ring says who has.
    const hasWon = promisedTo === name || this.#turnOf(partition) === turn;
    if (turn > promised || (turn === promised && hasWon)) return;
    const why = `node ${this.#router.host.node} follows partition ${partition} under turn ${promised} of ${promisedTo}; ${name} speaks of turn ${turn}`;
    throw new TroupeError('FENCED', why, { details: { promised } });
  }

  async #begin(from: number, asked: Asked & { copy: unknown }): Promise<Begun> {
    const name = this.#owner(from, asked);
    const { partition, turn } = asked;
    const isAnew = asked.copy === true;
    if (this.#gateway.handoffs.leftovers.isClearing(partition))
      throw new TroupeError('OVERLOADED', `what partition ${partition} has left here is still being cleared away`);
    this.#lives.set(partition, numberIn(asked.life));
    this.#parts.delete(partition);
    if (isAnew) this.isSure(partition, false);
    const record = await this.#records.change(partition, now => {
      this.#check(now, asked, name);
      if (now.promised === turn && now.promisedTo === name) return undefined;
      return { ...now, promised: turn, promisedTo: name };
    });
    await this.#crew.all('part-keep', partition);
    const shards = isAnew ? await this.#crew.all<string[]>('part-shards', partition) : [];
    return {
      ...{ turn: record.turn, round: record.round, shards: [...new Set(shards.flat())] },
      whole: record.whole && this.#sure.has(partition),
    };
  }

  #current(from: number, asked: Asked): void {
    const name = this.#owner(from, asked);
    const record = this.#records.get(asked.partition);
    this.#check(record, asked, name);
    if (record.promised !== asked.turn || this.#lives.get(asked.partition) !== asked.life)
      throw new TroupeError('STOPPED', `partition ${asked.partition} is not being followed; begin again`);
  }

  async #same(from: number, asked: Asked & { span: Span; digest: unknown }): Promise<boolean> {
    this.#current(from, asked);
    const { partition, span, digest } = asked;
    if (!(digest instanceof Uint8Array)) throw new TroupeError('BAD_MESSAGE', 'a digest is bytes');
    return this.#crew.ask(this.#crew.keeperOfShard(span?.shard, partition), 'part-same', { span, digest });
  }

  async #store(from: number, asked: Asked & { parts: unknown; span?: Span }): Promise<void> {
    this.#current(from, asked);
    this.isSure(asked.partition, false);
    // Until then it is as it was: a copy that differs in nothing stays whole.
    await this.#records.change(asked.partition, now => (now.whole ? { ...now, whole: false } : undefined));
    this.#unsettled.add(asked.partition);
    await this.#crew.store(asked.partition, asked.parts, { span: asked.span });
  }

  async #part(from: number, asked: Asked & { parts: unknown }): Promise<void> {
    this.#current(from, asked);
    const parts = this.#parts.get(asked.partition) ?? [];
    this.#parts.set(asked.partition, parts);
    if (parts.length > roundPartsMax)
      throw new TroupeError('BAD_MESSAGE', `a round comes in at most ${roundPartsMax} parts`);
    parts.push(...partsIn(asked.parts));
  }

  async #round(
    from: number,
    asked: Asked & { round: unknown; groups: unknown; epoch: unknown; isExact: unknown; parts: unknown },
  ): Promise<void> {
    this.#current(from, asked);
    const { partition, turn } = asked;
    const name = this.#gateway.nameOf(from) as string;
    const [round, epoch, groups] = [numberIn(asked.round), numberIn(asked.epoch), groupsIn(asked.groups)];
    const parts = [...(this.#parts.get(partition) ?? []), ...partsIn(asked.parts)];
    this.#parts.delete(partition);
    this.isSure(partition, false);
    await this.#crew.store(partition, merged(parts), { ack: 'flushed' });
    if (this.#unsettled.has(partition)) await this.#crew.all('part-settle', null);
    this.#unsettled.delete(partition);
    await this.#records.change(partition, now => {
      this.#check(now, asked, name);
      return { ...now, turn, round, groups, whole: true, led: false, epoch: Math.max(now.epoch, epoch) };
    });
    this.#sure.add(partition);
    if (asked.isExact === true) this.#exact.add(partition);
  }

  /** It is not kept here any more. */
  async #out(from: number, told: Asked): Promise<void> {
    const name = this.#owner(from, told);
    const { partition } = told;
    await this.#records.change(partition, now => {
      this.#check(now, told, name);
      return { ...now, groups: [], whole: false, led: false };
    });
    // A round that had been sent may come behind this word: it would make a follower of this node again, that nobody knows of.
    this.#lives.delete(partition);
    this.isSure(partition, false);
    await this.#gateway.handoffs.leftovers.clear(partition);
  }
}

/** All of a shard in one write. */
function merged(parts: readonly Part[]): Part[] {
  const byShard = new Map<string, { records: RecordCopy[]; gone: Uint8Array[] }>();
  for (const [shard, records, gone] of parts) {
    const all = byShard.get(shard) ?? { records: [], gone: [] };
    byShard.set(shard, all);
    all.records.push(...records);
    all.gone.push(...gone);
  }
  return [...byShard].map(([shard, { records, gone }]): Part => [shard, records, gone]);
}

/** What they hold is looked at where it is stored. */
function partsIn(value: unknown): Part[] {
  const isPart = (part: unknown): boolean =>
    Array.isArray(part) && typeof part[0] === 'string' && Array.isArray(part[1]) && Array.isArray(part[2]);
  if (Array.isArray(value) && value.every(isPart)) return value;
  throw new TroupeError('BAD_MESSAGE', 'a part of a round is a shard, its records and the keys that are gone');
}

export function groupsIn(value: unknown): Groups {
  if (!Array.isArray(value) || value.length === 0 || value.length > 2)
    throw new TroupeError('BAD_MESSAGE', 'a partition is kept by one group, or by two');
  return value.map(group => {
    if (!Array.isArray(group) || group.length === 0) throw new TroupeError('BAD_MESSAGE', 'a group has members');
    return group.map(textIn);
  });
}
