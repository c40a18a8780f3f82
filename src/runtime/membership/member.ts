// What is known of one member, and how two copies of it become one.
//
//      incarnation   one life of the process; rises for ever, persisted before the first gossip
//        version     what the member says of itself: status, address, weight, ... rises with each change
//        heartbeat   rises each round; suspicions and `down` stand at one heartbeat, and a later one refutes them
//        removed     stands for the whole life: only the next incarnation gets rid of it
//
// Invariant: merge is a join (commutative, associative, idempotent), so it does not matter in which order, how often or by
// which way gossip comes. The old rule "last status wins" needs an order of arrival, which gossip has not.

import { suspicionsPerMemberMax } from '../../limits.ts';

/** What a member says of itself. 'stopped' is a clean stop, seen by others as down; 'left' ends its membership. */
export type OwnStatus = 'joining' | 'up' | 'leaving' | 'stopped' | 'left';

export interface Suspicion {
  readonly by: string;
  /** The reporter's own heartbeat when it said so (again): the larger one renews. */
  readonly seq: number;
}

/** State of somebody above us that changes as one value and is gossiped on change: the ring's epoch, hash and a digest of it. */
export interface AppState {
  readonly epoch: number;
  readonly hash: string;
  readonly blob: string;
}

export interface MemberRecord {
  readonly name: string;
  readonly incarnation: number;
  readonly version: number;
  readonly heartbeat: number;
  readonly status: OwnStatus;
  readonly address: string;
  readonly zone: string;
  readonly rack: string;
  readonly weight: number;
  readonly capacity: number;
  /** The oldest and the newest protocol it speaks. */
  readonly protocol: readonly [oldest: number, newest: number];
  readonly app: AppState | undefined;
  readonly suspicions: readonly Suspicion[];
  readonly down: boolean;
  readonly removed: boolean;
}

/** Enough of a record to see who knows more: 25 bytes instead of 200. `notes` folds suspicions, down and removed. */
export type Digest = readonly [name: string, incarnation: number, version: number, heartbeat: number, notes: number];

export function digestOf(record: MemberRecord): Digest {
  return [record.name, record.incarnation, record.version, record.heartbeat, notesOf(record)];
}

/** Rises with everything that others add to a record at one heartbeat. */
export function notesOf({ removed, down, suspicions }: MemberRecord): number {
  return (removed ? 1 : 0) + (down ? 2 : 0) + 4 * suspicions.reduce((sum, { seq }) => sum + seq, 0);
}

/** Both must be of the same name. Returns `ours` itself if the other copy adds nothing. */
export function merge(ours: MemberRecord, theirs: MemberRecord): MemberRecord {
  if (ours.name !== theirs.name) throw new Error(`member: ${ours.name} is not ${theirs.name}`);
  if (ours.incarnation !== theirs.incarnation) return ours.incarnation > theirs.incarnation ? ours : theirs;
  const said = theirs.version === ours.version ? later(ours, theirs) : theirs.version > ours.version ? theirs : ours;
  const merged: MemberRecord = {
    ...said,
    ...notesAt(ours, theirs),
    heartbeat: Math.max(ours.heartbeat, theirs.heartbeat),
    removed: ours.removed || theirs.removed,
  };
  return same(merged, ours) ? ours : merged;
}

const none: readonly Suspicion[] = [];

/** The member lives: everything that was held against it at an earlier heartbeat falls. */
export function beat(record: MemberRecord, heartbeat: number): MemberRecord {
  return heartbeat <= record.heartbeat ? record : { ...record, heartbeat, suspicions: none, down: false };
}

export function suspectedBy(record: MemberRecord, by: string, seq: number): MemberRecord {
  return { ...record, suspicions: join(record.suspicions, [{ by, seq }]) };
}

function notesAt(a: MemberRecord, b: MemberRecord): Pick<MemberRecord, 'suspicions' | 'down'> {
  if (a.heartbeat !== b.heartbeat) {
    const { suspicions, down } = a.heartbeat > b.heartbeat ? a : b;
    return { suspicions, down };
  }
  return { suspicions: join(a.suspicions, b.suspicions), down: a.down || b.down };
}

/** Union, the latest of each reporter, the first few by name: a prefix of an order, so that joining stays associative. */
function join(a: readonly Suspicion[], b: readonly Suspicion[]): readonly Suspicion[] {
  if (a.length === 0 || b.length === 0) return a.length === 0 ? b : a;
  const latest = new Map<string, number>();
  for (const { by, seq } of [...a, ...b]) latest.set(by, Math.max(seq, latest.get(by) ?? 0));
  return [...latest]
    .map(([by, seq]) => ({ by, seq }))
    .sort((x, y) => (x.by < y.by ? -1 : 1))
    .slice(0, suspicionsPerMemberMax);
}

/** One version with two contents is a cloned data directory. Everybody has to choose the same one: the larger text. */
function later(a: MemberRecord, b: MemberRecord): MemberRecord {
  return !saysSame(a, b) && saying(b) > saying(a) ? b : a;
}

/** `saying` without making the texts: gossip is mostly of what is known. */
function saysSame(a: MemberRecord, b: MemberRecord): boolean {
  return (
    a.status === b.status &&
    a.address === b.address &&
    a.zone === b.zone &&
    a.rack === b.rack &&
    a.weight === b.weight &&
    a.capacity === b.capacity &&
    a.protocol[0] === b.protocol[0] &&
    a.protocol[1] === b.protocol[1] &&
    a.app?.epoch === b.app?.epoch &&
    a.app?.hash === b.app?.hash &&
    a.app?.blob === b.app?.blob
  );
}

function saying({ status, address, zone, rack, weight, capacity, protocol, app }: MemberRecord): string {
  const { epoch, hash, blob } = app ?? { epoch: -1, hash: '', blob: '' };
  return JSON.stringify([status, address, zone, rack, weight, capacity, protocol, epoch, hash, blob]);
}

function same(a: MemberRecord, b: MemberRecord): boolean {
  return (
    a.heartbeat === b.heartbeat &&
    a.version === b.version &&
    a.down === b.down &&
    a.removed === b.removed &&
    a.suspicions.length === b.suspicions.length &&
    a.suspicions.every(({ by, seq }, at) => by === b.suspicions[at]?.by && seq === b.suspicions[at]?.seq) &&
    saysSame(a, b)
  );
}
