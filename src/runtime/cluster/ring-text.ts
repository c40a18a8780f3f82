// The state of a ring as other nodes and the disk have it, and what is refused before it is believed. Pure.

import { TroupeError } from '../../errors.ts';
import { membersMax } from '../../limits.ts';
import { checkNodeName } from '../ids.ts';
import type { AppState } from '../membership/member.ts';
import { type Change, founded, type Holding, type RingState } from '../ownership/holdings.ts';
import { type MemberStatus, type Ring, ringHash, type Transfer } from '../ownership/ring.ts';
import type { PlannedTransfer, RingPlan } from '../ownership/ring-plan.ts';
import type { Ballot, Vote } from './decree.ts';

const statuses: readonly MemberStatus[] = ['joining', 'valid', 'leaving', 'exiting', 'down'];

/** Plain data, as it is sent and stored. Throws BAD_MESSAGE, and BAD_OPTION for a sound state that is not one for this node. */
export function stateOf(value: unknown, cluster: string, partitions: number): RingState {
  const { birth, claim, holdings } = (value ?? {}) as Partial<RingState>;
  const ring = ringOf(claim, cluster, partitions);
  const holds = typeof birth === 'string' && isHash(birth) && Array.isArray(holdings) && holdings.every(isHolding);
  if (!holds || holdings.length !== ring.owners.length) throw noRing();
  return { birth, claim: ring, holdings };
}

/** The same from a disk, where also a ring may lie that was stored when rings never changed: its own founding. */
export function storedStateOf(value: unknown, cluster: string, partitions: number): RingState {
  const isOld = typeof value === 'object' && value !== null && 'owners' in value;
  return isOld ? founded(ringOf(value, cluster, partitions)) : stateOf(value, cluster, partitions);
}

/**
 * An owner need be no member: it may have joined by a claim that lost. Nor need who is to give something away; who is to get it
 * must be one.
 */
export function ringOf(value: unknown, cluster: string, partitions: number): Ring {
  const ring = value as Ring;
  const holds =
    typeof ring === 'object' &&
    ring !== null &&
    typeof ring.cluster === 'string' &&
    isCount(ring.epoch) &&
    ring.epoch > 0 &&
    isName(ring.claimant) &&
    Array.isArray(ring.members) &&
    ring.members.length <= membersMax &&
    ring.members.every(isMember) &&
    Array.isArray(ring.owners) &&
    ring.owners.every(isName) &&
    Array.isArray(ring.next);
  if (!holds) throw noRing();
  const found = ring.owners.length;
  const names = new Set(ring.members.map(({ name }) => name));
  if (!ring.next.every(each => isTransfer(each, found) && names.has(each.to))) throw noRing();
  checkFits({ cluster: ring.cluster, partitions: found }, cluster, partitions);
  return ring;
}

/** Of a ring, or of whoever wants to found one. Throws BAD_OPTION, which says what to change, and BAD_MESSAGE. */
export function checkFits(
  { cluster: theirs, partitions: found }: { readonly cluster?: unknown; readonly partitions?: unknown },
  cluster: string,
  partitions: number,
): void {
  if (typeof theirs !== 'string' || !isCount(found)) throw noRing();
  if (theirs !== cluster)
    throw new TroupeError(
      'BAD_OPTION',
      `the ring is of cluster '${theirs}', and this node is of '${cluster}'; give it that name`,
      { details: { option: 'cluster', found: theirs } },
    );
  if (found !== partitions)
    throw new TroupeError(
      'BAD_OPTION',
      `the ring has ${found} partitions, and this node ${partitions}: that is fixed at the birth of its data; begin with partitions: ${found} in an empty directory`,
      { details: { option: 'partitions', found } },
    );
}

/** What somebody says has changed hands. Throws BAD_MESSAGE. */
export function handedOf(value: unknown, partitions: number): { birth: string; changes: readonly Change[] } {
  const { birth, changes } = (value ?? {}) as { birth?: unknown; changes?: unknown };
  const isChange = (change: Partial<Change> | null): boolean =>
    isTransfer(change, partitions) && isCount(change?.turn) && (change?.turn as number) > 0;
  if (typeof birth === 'string' && Array.isArray(changes) && changes.length <= partitions && changes.every(isChange))
    return { birth, changes };
  throw new TroupeError('BAD_MESSAGE', 'what was told is no change of hands');
}

/** What somebody wants committed; whether it fits the ring is for the core to say. Throws as ringOf does. */
export function planOf(value: unknown, cluster: string, partitions: number): RingPlan {
  const planned = (value ?? {}) as RingPlan;
  const { hash, base, ring, transfers } = planned;
  ringOf(ring, cluster, partitions);
  const isPlanned = (each: PlannedTransfer | null): boolean =>
    isTransfer(each, partitions) && typeof each?.reason === 'string';
  if (typeof hash === 'string' && typeof base === 'string' && Array.isArray(transfers) && transfers.every(isPlanned))
    return planned;
  throw new TroupeError('BAD_MESSAGE', 'what was to be committed is no plan');
}

/** What is answered to a plan that was committed. */
export function tagIn(value: unknown): { readonly epoch: number; readonly hash: string } {
  const { epoch, hash } = (value ?? {}) as { epoch?: unknown; hash?: unknown };
  if (isCount(epoch) && typeof hash === 'string') return { epoch: epoch as number, hash };
  throw new TroupeError('BAD_MESSAGE', 'the answer to a plan names no ring', { outcome: 'unknown' });
}

/** Throws BAD_MESSAGE. */
export function ballotOf(value: unknown): Ballot {
  const { round, by } = (value ?? {}) as Partial<Ballot>;
  if (isCount(round) && isName(by)) return { round: round as number, by: by as string };
  throw new TroupeError('BAD_MESSAGE', 'what was told or stored is no ballot');
}

/** Of the first ring, as it is sent and stored. Throws as ringOf does. */
export function voteOf(value: unknown, cluster: string, partitions: number): Vote<Ring> {
  const { promised, accepted } = (value ?? {}) as Partial<Vote<unknown>>;
  const vote = { promised: ballotOf(promised) };
  if (accepted === undefined || accepted === null) return vote;
  const { ballot, value: ring } = accepted;
  return { ...vote, accepted: { ballot: ballotOf(ballot), value: ringOf(ring, cluster, partitions) } };
}

const noRing = (): TroupeError => new TroupeError('BAD_MESSAGE', 'what was told or stored is no ring');
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isHash = (value: string): boolean => /^[0-9a-f]{32}$/.test(value);

function isHolding(holding: Partial<Holding> | null): boolean {
  return isName(holding?.owner) && isCount(holding?.turn);
}

function isTransfer(transfer: Partial<Transfer> | null | undefined, partitions: number): boolean {
  const { partition, from, to } = transfer ?? {};
  return isCount(partition) && (partition as number) < partitions && isName(from) && isName(to);
}

function isMember(member: unknown): boolean {
  const { name, status, weight, zone, rack } = (member ?? {}) as Record<string, unknown>;
  const texts = typeof zone === 'string' && typeof rack === 'string';
  return isName(name) && statuses.includes(status as MemberStatus) && typeof weight === 'number' && texts;
}

function isName(name: unknown): boolean {
  try {
    return typeof name === 'string' && checkNodeName(name) === name;
  } catch {
    return false;
  }
}

/** What is gossiped of it: whoever holds another asks for it; whoever was born elsewhere never does. */
export function tagOf({ birth }: RingState, ring: Ring): AppState {
  return { epoch: ring.epoch, hash: ringHash(ring), blob: birth };
}
