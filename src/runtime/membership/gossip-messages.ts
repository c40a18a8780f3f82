// What gossipers say to each other: plain data, bounded, and checked field by field before anything believes it.
//
//      a ── syn: digests ─────────────▶ b       a digest carries the heartbeat, so in a quiet cluster this is all
//      a ◀─ ack: digests + states ──── b        states: b knows more; digests: b wants these, or only their heartbeat rose
//      a ── states ───────────────────▶ b
//      ping/pong: the echo before `up`;  probe: ping somebody for me;  refuse: why not
//
// Invariant: what passes `checkMessage` has the shape and the bounds of its type; what does not changes nothing anywhere.

import { TroupeError } from '../../errors.ts';
import {
  gossipBlobCharsMax,
  gossipBytesMax,
  gossipDigestsMax,
  gossipStatesMax,
  suspicionsPerMemberMax,
} from '../../limits.ts';
import { createCodec } from '../codec.ts';
import type { AppState, Digest, MemberRecord, OwnStatus, Suspicion } from './member.ts';

export interface Header {
  readonly cluster: string;
  readonly from: string;
  readonly incarnation: number;
}

export type GossipBody =
  | { readonly type: 'syn'; readonly seq: number; readonly count: number; readonly digests: readonly Digest[] }
  | {
      readonly type: 'ack';
      readonly seq: number;
      readonly count: number;
      readonly digests: readonly Digest[];
      readonly states: readonly MemberRecord[];
    }
  | { readonly type: 'states'; readonly states: readonly MemberRecord[] }
  | { readonly type: 'ping'; readonly seq: number; readonly for?: string }
  | { readonly type: 'pong'; readonly seq: number; readonly for?: string; readonly digest: Digest }
  | { readonly type: 'probe'; readonly seq: number; readonly target: string }
  | { readonly type: 'refuse'; readonly why: RefuseReason; readonly incarnation: number };

export type GossipMessage = Header & { readonly body: GossipBody };

export type RefuseReason =
  | 'bad-message'
  | 'wrong-cluster'
  | 'far-future-incarnation'
  | 'stale-incarnation'
  | 'removed'
  | 'quarantined'
  | 'table-full';

const statuses: readonly OwnStatus[] = ['joining', 'up', 'leaving', 'stopped', 'left'];
const nameShape = /^[a-z0-9-]{1,32}$/;

const codec = createCodec({ isRef: () => false, encodeRef: () => ['', ''], decodeRef: () => undefined });

/** At most gossipBytesMax bytes. */
export const encodeMessage = (message: GossipMessage): Uint8Array => codec.encode(message, gossipBytesMax);

/** Whatever the bytes say, for `checkMessage` to judge; undefined if they say nothing. Never throws. */
export function decodeMessage(bytes: Uint8Array): unknown {
  if (bytes.length > gossipBytesMax) return undefined;
  try {
    return codec.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The message rebuilt from checked fields (nothing of the sender's objects is kept), or undefined. */
export function checkMessage(raw: unknown): GossipMessage | undefined {
  const { cluster, from, incarnation, body } = fields(raw);
  if (!isText(cluster, 64) || !isName(from) || !isCount(incarnation)) return undefined;
  const checked = checkBody(body);
  return checked && { cluster, from, incarnation, body: checked };
}

function checkBody(raw: unknown): GossipBody | undefined {
  const { type, seq, count, incarnation, target, why } = fields(raw);
  const digests = list(fields(raw).digests, gossipDigestsMax, checkDigest);
  const states = list(fields(raw).states, gossipStatesMax, checkRecord);
  const asker = fields(raw).for;
  if (asker !== undefined && !isName(asker)) return undefined;
  const forWhom = asker === undefined ? {} : { for: asker };
  switch (type) {
    case 'syn':
      return isCount(seq) && isCount(count) && digests ? { type, seq, count, digests } : undefined;
    case 'ack':
      return isCount(seq) && isCount(count) && digests && states ? { type, seq, count, digests, states } : undefined;
    case 'states':
      return states && { type, states };
    case 'ping':
      return isCount(seq) ? { type, seq, ...forWhom } : undefined;
    case 'pong': {
      const digest = checkDigest(fields(raw).digest);
      return isCount(seq) && digest ? { type, seq, digest, ...forWhom } : undefined;
    }
    case 'probe':
      return isCount(seq) && isName(target) ? { type, seq, target } : undefined;
    case 'refuse':
      return isText(why, 32) && isCount(incarnation) ? { type, why: why as RefuseReason, incarnation } : undefined;
    default:
      return undefined;
  }
}

function checkDigest(raw: unknown): Digest | undefined {
  if (!Array.isArray(raw) || raw.length !== 5) return undefined;
  const [name, ...numbers] = raw as unknown[];
  const [incarnation, version, heartbeat, notes] = numbers;
  if (!isName(name) || !isCount(incarnation) || !isCount(version) || !isCount(heartbeat)) return undefined;
  return Number.isSafeInteger(notes) ? [name, incarnation, version, heartbeat, notes as number] : undefined;
}

export function checkRecord(raw: unknown): MemberRecord | undefined {
  const of = fields(raw);
  const { name, incarnation, version, heartbeat, status, address, zone, rack, weight, capacity, down, removed } = of;
  if (!isName(name) || !isCount(incarnation) || !isCount(version) || !isCount(heartbeat)) return undefined;
  if (!statuses.includes(status as OwnStatus)) return undefined;
  if (!isText(address, 255) || !isText(zone, 64) || !isText(rack, 64)) return undefined;
  if (!isPositive(weight) || !isPositive(capacity)) return undefined;
  if (typeof down !== 'boolean' || typeof removed !== 'boolean') return undefined;
  const protocol = list(of.protocol, 2, raw => (isCount(raw) ? raw : undefined));
  const suspicions = list(of.suspicions, suspicionsPerMemberMax, checkSuspicion);
  const app = of.app === undefined || of.app === null ? undefined : checkApp(of.app);
  if (protocol?.length !== 2 || suspicions === undefined) return undefined;
  if (app === undefined && of.app !== undefined && of.app !== null) return undefined;
  const [oldest, newest] = protocol as [number, number];
  const place = { address, zone, rack, weight, capacity };
  const life = { name, incarnation, version, heartbeat, status: status as OwnStatus };
  return { ...life, ...place, protocol: [oldest, newest], app, suspicions, down, removed };
}

/** Others refuse a record that breaks one of these, and with it every message that carries it: so it is refused at home. */
export function refuseOwn(cluster: string, record: MemberRecord): void {
  if (!isText(cluster, 64)) throw new TroupeError('BAD_OPTION', 'cluster: a name of at most 64 characters');
  const wrong = (Object.keys(ownRules) as (keyof typeof ownRules)[]).find(
    key => checkRecord({ ...fitRecord, [key]: record[key] }) === undefined,
  );
  if (wrong === undefined) return;
  throw new TroupeError('BAD_OPTION', `${wrong} of member '${String(record.name).slice(0, 32)}': ${ownRules[wrong]}`);
}

const ownRules = {
  name: 'a to z, 0 to 9 and -, at most 32 characters',
  incarnation: 'a whole number from 0 to 2^46',
  address: 'at most 255 characters',
  zone: 'at most 64 characters',
  rack: 'at most 64 characters',
  weight: 'a number above 0',
  capacity: 'a number above 0',
  protocol: 'two whole numbers, the oldest and the newest',
  app: `epoch a whole number, hash at most 64 characters, blob at most ${gossipBlobCharsMax}: let larger things be fetched by hash`,
} as const;

const fitRecord: MemberRecord = {
  ...{ name: 'a', incarnation: 0, version: 0, heartbeat: 0, status: 'up', app: undefined, suspicions: [] },
  ...{ address: '', zone: '', rack: '', weight: 1, capacity: 1, protocol: [0, 0], down: false, removed: false },
};

function checkSuspicion(raw: unknown): Suspicion | undefined {
  const { by, seq } = fields(raw);
  return isName(by) && isCount(seq) ? { by, seq } : undefined;
}

function checkApp(raw: unknown): AppState | undefined {
  const { epoch, hash, blob } = fields(raw);
  return isCount(epoch) && isText(hash, 64) && isText(blob, gossipBlobCharsMax) ? { epoch, hash, blob } : undefined;
}

function list<Item>(raw: unknown, max: number, check: (raw: unknown) => Item | undefined): Item[] | undefined {
  if (!Array.isArray(raw) || raw.length > max) return undefined;
  const items: Item[] = [];
  for (const each of raw) {
    const item = check(each);
    if (item === undefined) return undefined;
    items.push(item);
  }
  return items;
}

const fields = (raw: unknown): Record<string, unknown> =>
  typeof raw === 'object' && raw !== null ? (raw as Record<string, unknown>) : {};
const isText = (raw: unknown, max: number): raw is string => typeof raw === 'string' && raw.length <= max;
const isName = (raw: unknown): raw is string => typeof raw === 'string' && nameShape.test(raw);
/** Far below 2^53, so that a sum of a few is still whole: a record we accept must make a digest that others accept. */
const countMax = 2 ** 46;
const isCount = (raw: unknown): raw is number =>
  Number.isInteger(raw) && (raw as number) >= 0 && (raw as number) < countMax;
const isPositive = (raw: unknown): raw is number => typeof raw === 'number' && Number.isFinite(raw) && raw > 0;
