// The options of a store: what they are when left out, which of them contradict each other, and what may never change.
//
// Intuition: n, mode and the way of resolving are facts about data that is already on disks; a store is therefore created
// once and opened ever after. Opening it with other options is refused with both values, because the alternatives, to
// ignore them or to obey, would each surprise somebody later. r and w may be overridden a request, inside n.
//
// Invariant: whatever comes out of readStoreOptions() is complete, consistent, and plain data that can be stored.

import { TroupeError } from '../errors.ts';
import { recordBytesMax, replicasMax, valueBytesMaxDefault } from '../limits.ts';
import { show } from '../runtime/show.ts';
import type { StoreRules } from './vnode.ts';

export interface StoreOptions {
  /** Replicas of each key. */
  readonly n: number;
  /** Replicas that must answer a read, and acknowledge a write. */
  readonly r: number;
  readonly w: number;
  readonly mode: 'ap';
  /** Whether nodes outside a key's first n may stand in for those that are down. */
  readonly quorum: 'sloppy' | 'strict';
  /** True: concurrent values are kept and shown. False: the last writer's, by hybrid clock, is. */
  readonly siblings: boolean;
  readonly readRepair: 'background' | 'blocking' | 'none';
  readonly valueBytesMax: number;
}

export interface StoreOptionsInput extends Partial<Omit<StoreOptions, 'mode'>> {
  /** 'ap'. 'cp' comes later, 'ca' cannot exist. */
  readonly mode?: 'ap' | 'cp' | 'ca';
  /** Another way to say `siblings: false`. */
  readonly lww?: boolean;
}

/** Room beside the value of a record that holds one: actor, stamp, expiry, operation id. */
const recordOverhead = 1_024;
export const valueBytesCeiling: number = recordBytesMax - recordOverhead;

const known = ['n', 'r', 'w', 'mode', 'quorum', 'siblings', 'lww', 'readRepair', 'valueBytesMax'] as const;

/** Store names go into the names of shards and of directories. */
export function checkStoreName(name: unknown): string {
  if (typeof name === 'string' && /^[a-z0-9][a-z0-9._-]{0,31}$/.test(name)) return name;
  const rule = "a store's name is 1 to 32 of a-z 0-9 . _ - and begins with a letter or digit";
  throw badOption('name', `${rule}; got ${show(name)}`);
}

/** The complete options of a new store. `members` is how many nodes there are: it bounds the default of n. */
export function readStoreOptions(given: StoreOptionsInput = {}, members = 1): StoreOptions {
  checkKnown(given);
  const n = whole('n', given.n ?? Math.min(3, members), 1, replicasMax);
  const majority = Math.floor(n / 2) + 1;
  return {
    n,
    r: quorumOf('r', given.r, majority, n),
    w: quorumOf('w', given.w, majority, n),
    mode: readMode(given.mode),
    quorum: oneOf('quorum', given.quorum, ['sloppy', 'strict']),
    siblings: readSiblings(given),
    readRepair: oneOf('readRepair', given.readRepair, ['background', 'blocking', 'none']),
    valueBytesMax: whole('valueBytesMax', given.valueBytesMax ?? valueBytesMaxDefault, 1, valueBytesCeiling),
  };
}

/** r or w of one request: the store's own, or what the request asks for within 1..n. */
export function quorumOf(option: 'r' | 'w', asked: number | undefined, own: number, n: number): number {
  if (asked === undefined) return own;
  if (Number.isInteger(asked) && asked >= 1 && asked <= n) return asked;
  throw badOption(option, `${option} must be a whole number from 1 to n = ${n}; got ${show(asked)}`);
}

/** True when every read meets every acknowledged write in some replica. */
export function overlaps({ n, r, w }: StoreOptions): boolean {
  return r + w > n;
}

export interface Conflict {
  readonly option: string;
  readonly has: unknown;
  readonly wanted: unknown;
}

/** The first option somebody asks for that an existing store has otherwise. What is left out is not asked for. */
export function conflict(existing: StoreOptions, wanted: StoreOptionsInput = {}): Conflict | undefined {
  checkKnown(wanted);
  const asked: Record<string, unknown> = { ...wanted };
  delete asked.lww;
  if (wanted.mode !== undefined) asked.mode = readMode(wanted.mode);
  if (wanted.siblings !== undefined || wanted.lww !== undefined) asked.siblings = readSiblings(wanted);
  for (const [option, value] of Object.entries(asked)) {
    const has = existing[option as keyof StoreOptions];
    if (value !== undefined && value !== has) return { option, has, wanted: value };
  }
  return undefined;
}

export function conflictError(name: string, { option, has, wanted }: Conflict): TroupeError {
  const message = `store '${name}' has ${option}: ${show(has)}, which cannot be changed; asked for ${show(wanted)}`;
  return new TroupeError('BAD_OPTION', message, { details: { option, has, wanted } });
}

export function rulesOf({ n, siblings, valueBytesMax }: StoreOptions): StoreRules {
  return { valueBytesMax, siblings, alone: n === 1 };
}

// ---- single options ----

function checkKnown(given: unknown): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw badOption('options', `the options of a store are an object; got ${show(given)}`);
  }
  for (const option of Object.keys(given)) {
    if (!(known as readonly string[]).includes(option)) {
      throw badOption(option, `a store has no option '${option}'; it has ${known.join(', ')}`);
    }
  }
}

function readMode(mode: unknown): 'ap' {
  if (mode === undefined || mode === 'ap') return 'ap';
  if (mode === 'ca') {
    throw badOption(
      'mode',
      "mode: 'ca' cannot exist: networks do partition, and then a store must refuse requests ('cp') or diverge ('ap')",
    );
  }
  if (mode === 'cp') throw badOption('mode', "mode: 'cp' is not in this version; 'ap' is");
  throw badOption('mode', `mode must be 'ap'; got ${show(mode)}`);
}

function readSiblings({ siblings, lww }: StoreOptionsInput): boolean {
  for (const [option, value] of Object.entries({ siblings, lww })) {
    if (value !== undefined && typeof value !== 'boolean') {
      throw badOption(option, `${option} must be true or false; got ${show(value)}`);
    }
  }
  if (siblings !== undefined && siblings === lww) {
    const meaning = siblings ? 'keep concurrent values and drop them' : 'neither keep concurrent values nor pick one';
    throw badOption('lww', `siblings: ${siblings} and lww: ${lww} contradict each other: that would ${meaning}`);
  }
  return siblings ?? !(lww ?? false);
}

function oneOf<T extends string>(option: string, value: T | undefined, allowed: readonly [T, ...T[]]): T {
  if (value === undefined) return allowed[0];
  if (allowed.includes(value)) return value;
  throw badOption(option, `${option} must be one of ${allowed.join(', ')}; got ${show(value)}`);
}

function whole(option: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw badOption(option, `${option} must be a whole number from ${min} to ${max}; got ${show(value)}`);
}

export function badOption(option: string, message: string): TroupeError {
  return new TroupeError('BAD_OPTION', message, { details: { option } });
}
