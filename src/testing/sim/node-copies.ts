// Who knows better about copies of partitions: what nodes write down of them, what they agree to and what they say that they have, each looked
// at as it happens, on the disk and not in the words of the node.
//
//     written down   promises and rounds never fall; a turn is promised to one
//     answered       what was agreed to, or acknowledged, is there after a loss of power
//     leases         at most one node may speak for a partition; none, once more than half of its group have agreed to another one
//     being given    nobody waits for what one was giving him whose partition is another node's by now
//
// Intuition: a mistake here is seen by a user only when two or three things break at the right moments. Its first step is seen at once.
// What holds when nothing is under way any more: node-alike.ts.

import { equal } from '../../runtime/actor-records.ts';
import { comparePositions, type Groups, isQuorum } from '../../runtime/replicas/groups.ts';
import { noRecord, type ReplicaRecord } from '../../runtime/replicas/replica-records.ts';
import type { StoredRecord } from '../../storage/engine.ts';
import { nameOf } from '../../storage/key.ts';
import { replicasOf } from './node-alike.ts';
import type { About } from './node-marks.ts';
import type { NodesLife } from './node-talk.ts';
import type { Simulation } from './simulation.ts';

/** A node that is up, and does not stand still. */
export interface Speaker {
  readonly name: string;
  /** Its lease for that partition lasts, by its own clocks. */
  mayRun(partition: number): boolean;
  led(partition: number): { readonly turn: number; readonly groups: Groups } | undefined;
}

export interface CopiesSeams {
  readonly partitions: number;
  speakers(): readonly Speaker[];
  /** What the loss of power would leave there. */
  flushed(name: string, shard: string, key: Uint8Array): StoredRecord | undefined;
  wrong(what: string): void;
}

type RecordCopy = readonly [key: Uint8Array, version: Uint8Array, value: Uint8Array];

/** Of a round, or of a vote. */
interface Asked extends About {
  readonly partition: number;
  readonly turn: number;
  readonly to: string;
  readonly round: number;
  readonly parts: readonly (readonly [shard: string, records: readonly RecordCopy[], gone: readonly Uint8Array[]])[];
}

/** Who has agreed to one turn of a partition for one node. Others may ask for the same turn. */
interface Agreement {
  readonly turn: number;
  readonly to: string;
  readonly by: Set<string>;
}

interface Taking {
  readonly partition: number;
  readonly from: string;
}

const recordsShard = 'replicas';
const text = new TextDecoder();
const bytes = new TextEncoder();
const nothing = new Uint8Array(0);

export class CopiesOracle {
  readonly #seams: CopiesSeams;
  /** By partition, by turn and node. */
  readonly #agreements = new Map<number, Map<string, Agreement>>();

  constructor(seams: CopiesSeams) {
    this.#seams = seams;
  }

  /** A record is handed in. It was made of what is durable: the one before is waited for. `hasWon`: by the ring that node owns it. */
  wrote(name: string, key: Uint8Array, stored: StoredRecord | undefined, hasWon: (node: string) => boolean): void {
    const partition = Number(text.decode(key));
    const [before, next] = [this.#durable(name, partition), recordIn(stored)];
    const told = `${name} writes down for partition ${partition}`;
    if (next.promised < before.promised)
      this.#seams.wrong(`${told} that turn ${next.promised} is promised, after turn ${before.promised}`);
    const isOther = next.promised === before.promised && next.promisedTo !== before.promisedTo;
    // Promised to one who did not win it: whoever has is followed.
    if (isOther && before.promisedTo !== '' && !hasWon(next.promisedTo))
      this.#seams.wrong(
        `${told} turn ${next.promised} for ${next.promisedTo}, promised to ${before.promisedTo} before`,
      );
    if (comparePositions(next, before) < 0) this.#seams.wrong(`${told} ${placeOf(next)}, after ${placeOf(before)}`);
  }

  #durable(name: string, partition: number): ReplicaRecord {
    return recordIn(this.#seams.flushed(name, recordsShard, bytes.encode(String(partition))));
  }

  /** Something of a partition is said or done. */
  mark(name: string, point: string, about: About, answer: unknown): void {
    const asked = about as Asked;
    if (point === 'rep-vote') this.#agrees(name, asked);
    if (point === 'gives rep-vote' && (answer as { agrees: boolean }).agrees) this.#agrees(name, asked);
    if (point === 'gives rep-round') this.#acknowledges(name, asked);
    this.#lookAtLeases();
  }

  #agrees(name: string, { partition, turn, to }: Asked): void {
    const { promised, promisedTo } = this.#durable(name, partition);
    if (promised < turn || (promised === turn && promisedTo !== to)) {
      const onDisk = `on its disk turn ${promised} is promised to ${promisedTo}`;
      this.#seams.wrong(`${name} agrees to turn ${turn} of partition ${partition} for ${to}; ${onDisk}`);
    }
    const all = this.#agreements.get(partition) ?? new Map<string, Agreement>();
    this.#agreements.set(partition, all);
    const agreement = all.get(`${turn} ${to}`) ?? { turn, to, by: new Set() };
    all.set(`${turn} ${to}`, agreement);
    agreement.by.add(name);
  }

  #acknowledges(name: string, { partition, turn, round, parts }: Asked): void {
    const durable = this.#durable(name, partition);
    const said = `${name} acknowledges turn ${turn}, round ${round} of partition ${partition}`;
    if (comparePositions(durable, { turn, round }) < 0)
      this.#seams.wrong(`${said}; on its disk is ${placeOf(durable)}`);
    for (const [shard, records, gone] of parts) {
      const onDisk = (key: Uint8Array): Uint8Array | undefined => this.#seams.flushed(name, shard, key)?.value;
      const isThere = ([key, , value]: RecordCopy): boolean => equal(onDisk(key) ?? nothing, value);
      const lost = records.find(record => !isThere(record))?.[0] ?? gone.find(onDisk);
      if (lost !== undefined) this.#seams.wrong(`${said}; ${nameOf(lost)} in ${shard} is not so on its disk`);
    }
  }

  #lookAtLeases(): void {
    const speakers = this.#seams.speakers();
    for (let partition = 0; partition < this.#seams.partitions; partition++) {
      const all = speakers.filter(speaker => speaker.mayRun(partition));
      if (all.length > 1)
        this.#seams.wrong(`${all.map(({ name }) => name).join(' and ')} may both speak for partition ${partition}`);
      const agreements = this.#agreements.get(partition);
      if (agreements !== undefined) for (const speaker of all) this.#lookAtLease(partition, agreements, speaker);
    }
  }

  #lookAtLease(partition: number, all: Map<string, Agreement>, { name, led: ledBy }: Speaker): void {
    // Whoever gives it away has agreed to that himself, and speaks until the ring is written.
    const isOwn = ({ to, by }: Agreement): boolean => to === name || by.has(name);
    if ([...all.values()].every(isOwn)) return;
    const led = ledBy(partition);
    if (led === undefined) return;
    // They have come to nothing, or it owns it under one of them.
    for (const [id, { turn }] of all) if (turn <= led.turn) all.delete(id);
    // Whoever has promised a later turn since, also where its word of that is lost, lets nobody begin under this one.
    const isBound = (each: string, turn: number): boolean => this.#durable(each, partition).promised <= turn;
    const agreed = [...all.values()].filter(({ by, turn }) =>
      isQuorum(led.groups, each => by.has(each) && isBound(each, turn)),
    );
    const [last] = agreed.sort((a, b) => b.turn - a.turn);
    if (last === undefined || isOwn(last)) return;
    const others = [...last.by].join(' and ');
    this.#seams.wrong(
      `${name} may speak for partition ${partition}; ${others} have agreed to ${last.to} under turn ${last.turn}`,
    );
  }
}

const recordIn = (stored: StoredRecord | undefined): ReplicaRecord =>
  stored === undefined ? noRecord : (JSON.parse(text.decode(stored.value)) as ReplicaRecord);

const placeOf = ({ turn, round }: ReplicaRecord): string => `turn ${turn}, round ${round}`;

/** The oracle of a simulation. */
export class SimCopies {
  readonly #sim: Simulation<NodesLife>;
  readonly #oracle: CopiesOracle;

  constructor(sim: Simulation<NodesLife>, partitions: number) {
    this.#sim = sim;
    this.#oracle = new CopiesOracle({
      partitions,
      speakers: () => this.#speakers(),
      flushed: (name, shard, key) => sim.processes.get(name)?.disk.flushed(shard, key),
      wrong: what => sim.violation(what),
    });
  }

  /** A node that stands still says nothing, whatever its clock would say. */
  #speakers(): Speaker[] {
    return [...this.#sim.processes.values()].flatMap(({ name, life, state }): Speaker[] => {
      if (state !== 'up' || life === undefined) return [];
      const { node } = life;
      const led: Speaker['led'] = partition => replicasOf(node).leading.find(row => row.partition === partition);
      return [{ name, led, mayRun: partition => node.mayRun(partition) }];
    });
  }

  /** From now on what that node writes down is looked at. */
  watch({ node, engine, world }: Pick<NodesLife, 'node' | 'engine' | 'world'>): void {
    engine.watch((shard, key) => {
      if (shard !== recordsShard) return;
      const { nodes } = node.gateway;
      const hasWon = (name: string): boolean => nodes.ownerOf(Number(text.decode(key))) === name;
      this.#oracle.wrote(world.name, key, engine.shard(shard).get(key), hasWon);
    });
  }

  mark(name: string, point: string, about: About, answer: unknown): void {
    this.#oracle.mark(name, point, about, answer);
    // It goes by the owner who asks: what another one was giving it would run in the place of what is written from now on.
    if (point === 'gives rep-begin') this.#lookAtTakings(name);
  }

  #lookAtTakings(name: string): void {
    const gateway = this.#sim.processes.get(name)?.life?.node.gateway;
    const { taking } = (gateway?.handoffs.describe() ?? { taking: [] }) as { taking: readonly Taking[] };
    for (const { partition, from } of taking) {
      const owner = gateway?.nodes.ownerOf(partition);
      if (owner !== from && owner !== name)
        this.#sim.violation(`${name} waits for partition ${partition} of ${from}, which is ${owner}'s by now`);
    }
  }
}
