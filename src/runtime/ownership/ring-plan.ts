// From one ring to the next, in steps that never leave a key without an owner who has its data:
//
//     plan ──shown to an operator──▶ commit ──▶ next: [p12 n1→n5, ...] ──complete(p12)──▶ owners[12] = n5 ──▶ ... next: []
//      │                               │                                   abort: nothing changes, it stays in next
//      └── computes, changes nothing   └── refuses when the ring is not the one that was planned on
//
//     a member:   joining ──commit──▶ valid ──commit of leave──▶ leaving ──owns nothing──▶ exiting ──forget──▶ (gone)
//                                     valid ◀──mark──▶ down
//
// Intuition: a plan is arithmetic on two lists of owners, `owners` and owners-to-be; `next` is their difference. So planning
// again while transfers are under way needs no special case: those that are still wanted stay, the others vanish.
//
// Invariants: `owners` changes in complete() and, for partitions nobody owned, in commit(); nowhere else. What commit makes
// is exactly what plan showed. Whether a member is up plays no part: a node that flaps changes no owner.

import { transfersInMax, transfersMax, transfersOutMax } from '../../limits.ts';
import { claimOwners, judge } from './claim.ts';
import {
  changed,
  countsOf,
  memberOf,
  notSeenBy,
  ownersToBe,
  type Ring,
  type RingMember,
  ringHash,
  type SeenRings,
  type Transfer,
  textHash,
} from './ring.ts';
import type { ClaimWarning } from './warnings.ts';

export interface JoiningMember {
  readonly name: string;
  readonly weight?: number;
  readonly zone?: string;
  readonly rack?: string;
}

export interface Changes {
  readonly join?: readonly JoiningMember[];
  readonly leave?: readonly string[];
  readonly weights?: Readonly<Record<string, number>>;
  /** Old name to the one that takes exactly its place, with its weight. */
  readonly replace?: Readonly<Record<string, Omit<JoiningMember, 'weight'>>>;
}

export interface PlanOptions {
  readonly spacing?: number;
  /** Move partitions for the sake of zones and racks too. */
  readonly spread?: boolean;
}

/** balance: to whom has too little. leave: from whom may keep nothing. spacing: between two that stay, to keep copies apart. */
export type TransferReason = 'balance' | 'leave' | 'replace' | 'spacing';

export interface PlannedTransfer extends Transfer {
  readonly reason: TransferReason;
}

export interface RingPlan {
  /** Over everything below. */
  readonly hash: string;
  /** Of the ring it was made for. */
  readonly base: string;
  /** As it will be when all transfers are complete. */
  readonly ring: Ring;
  readonly transfers: readonly PlannedTransfer[];
  readonly warnings: readonly ClaimWarning[];
}

export type PlanRefusal =
  | { readonly error: 'unknown-member'; readonly member: string }
  | { readonly error: 'already-member'; readonly member: string }
  | { readonly error: 'named-twice'; readonly member: string }
  | { readonly error: 'bad-weight'; readonly member: string; readonly weight: number }
  | { readonly error: 'nobody-left' }
  | { readonly error: 'nothing-to-change' };

export type CommitRefusal =
  | { readonly error: 'plan-changed'; readonly planned: string; readonly found: string }
  | { readonly error: 'ring-not-ready'; readonly waitingFor: readonly string[] };

export type TransferRefusal = { readonly error: 'no-such-transfer'; readonly transfer: Transfer };

export function isRefusal<Refusal extends { readonly error: string }>(value: object | Refusal): value is Refusal {
  return 'error' in value;
}

// ---- plan ----

/** Changes nothing. The same for everybody who holds the same ring. */
export function plan(ring: Ring, changes: Changes, options: PlanOptions = {}): RingPlan | PlanRefusal {
  const refusal = refuse(ring, changes);
  if (refusal !== undefined) return refusal;
  const members = membersAfter(ring, changes);
  const staying = members.filter(({ status }) => status === 'valid' || status === 'down');
  const input = { ...options, owners: replaced(ownersToBe(ring), changes.replace), members: staying };
  // Who takes the place of another takes it as it is; a claim on top might move what nobody asked to move.
  const { owners, warnings } = onlyReplaces(changes) ? { ...input, warnings: judge(input) } : claimOwners(input);
  const transfers = transfersTo(ring, owners, members, changes);
  const result = changed(ring, ring.claimant, { members: members.map(settled(owners)), owners, next: [] });
  const base = ringHash(ring);
  return { hash: planHash(base, result, transfers), base, ring: result, transfers, warnings };
}

function onlyReplaces({ join = [], leave = [], weights = {} }: Changes): boolean {
  return join.length === 0 && leave.length === 0 && Object.keys(weights).length === 0;
}

function refuse(ring: Ring, changes: Changes): PlanRefusal | undefined {
  const newcomers: JoiningMember[] = [...(changes.join ?? []), ...Object.values(changes.replace ?? {})];
  const weights = Object.entries(changes.weights ?? {});
  const goers = [...(changes.leave ?? []), ...Object.keys(changes.replace ?? {})];
  // Who has left and is back begins anew.
  const known = (name: string): boolean => !['joining', 'exiting', undefined].includes(memberOf(ring, name)?.status);
  const there = (name: string): boolean => ['valid', 'down'].includes(memberOf(ring, name)?.status ?? '');
  // It owns something that no wish takes away, because the claim by which it joined, or left, has lost: it may go as any other.
  const stranded = (name: string): boolean =>
    ring.owners.some((owner, p) => owner === name && !ring.next.some(({ partition }) => partition === p));
  const names = [...newcomers.map(({ name }) => name), ...goers, ...weights.map(([name]) => name)];
  for (const [index, member] of names.entries()) {
    if (names.indexOf(member) !== index) return { error: 'named-twice', member };
  }
  for (const { name: member, weight = 1 } of newcomers) {
    if (known(member)) return { error: 'already-member', member };
    if (!isWeight(weight)) return { error: 'bad-weight', member, weight };
  }
  for (const member of goers) if (!there(member) && !stranded(member)) return { error: 'unknown-member', member };
  for (const [member] of weights) if (!there(member)) return { error: 'unknown-member', member };
  for (const [member, weight] of weights) if (!isWeight(weight)) return { error: 'bad-weight', member, weight };
  if (names.length === 0) return { error: 'nothing-to-change' };
  const after = membersAfter(ring, changes);
  if (!after.some(({ status, weight }) => (status === 'valid' || status === 'down') && weight > 0)) {
    return { error: 'nobody-left' };
  }
}

const isWeight = (weight: number): boolean => Number.isFinite(weight) && weight >= 0;

function membersAfter(ring: Ring, { join = [], leave = [], weights = {}, replace = {} }: Changes): RingMember[] {
  const newcomers = [
    ...join,
    ...Object.entries(replace).map(([old, by]) => {
      const { weight = 1, zone = '', rack = '' } = memberOf(ring, old) ?? {};
      return { zone, rack, ...by, weight };
    }),
  ];
  const goers = new Set([...leave, ...Object.keys(replace)]);
  const names = new Set(newcomers.map(({ name }) => name));
  const old = ring.members.filter(({ name }) => !names.has(name));
  return [
    ...old.map((member): RingMember => {
      const weight = Object.hasOwn(weights, member.name) ? (weights[member.name] as number) : member.weight;
      return { ...member, weight, status: goers.has(member.name) ? 'leaving' : member.status };
    }),
    ...newcomers.map(
      ({ name, weight = 1, zone = '', rack = '' }): RingMember => ({ name, status: 'valid', weight, zone, rack }),
    ),
  ];
}

function replaced(owners: readonly string[], replace: Changes['replace'] = {}): string[] {
  return owners.map(owner => (Object.hasOwn(replace, owner) ? (replace[owner] as { name: string }).name : owner));
}

function transfersTo(
  ring: Ring,
  owners: readonly string[],
  members: readonly RingMember[],
  { replace = {} }: Changes,
): PlannedTransfer[] {
  const had = countsOf(ring.owners);
  const has = countsOf(owners);
  const staying = new Set(members.filter(({ status }) => status !== 'leaving').map(({ name }) => name));
  const change = (name: string): number => (has.get(name) ?? 0) - (had.get(name) ?? 0);
  const reasonOf = (from: string, to: string): TransferReason => {
    if (Object.hasOwn(replace, from) && replace[from]?.name === to) return 'replace';
    if (!staying.has(from)) return 'leave';
    return change(from) < 0 && change(to) > 0 ? 'balance' : 'spacing';
  };
  return owners.flatMap((to, partition) => {
    const from = ring.owners[partition] as string;
    return from === '' || from === to ? [] : [{ partition, from, to, reason: reasonOf(from, to) }];
  });
}

function planHash(base: string, ring: Ring, transfers: readonly PlannedTransfer[]): string {
  return textHash(JSON.stringify([base, ringHash(ring), transfers.map(t => [t.partition, t.from, t.to, t.reason])]));
}

/** A member that leaves and owns nothing has left. It receives nothing either: no plan gives to who leaves. */
function settled(owners: readonly string[]): (member: RingMember) => RingMember {
  const owning = new Set(owners);
  return member =>
    member.status === 'leaving' && !owning.has(member.name) ? { ...member, status: 'exiting' } : member;
}

// ---- commit ----

/**
 * The ring to publish: the members of the plan, its transfers in `next`, owners as they were (but partitions that nobody
 * owned have no data to wait for). Refuses a plan made for another ring, one that was altered, and to go on before
 * everybody has seen the ring there is.
 */
export function commit(ring: Ring, planned: RingPlan, by: string, seen: SeenRings): Ring | CommitRefusal {
  const found = ringHash(ring);
  if (planned.base !== found) return { error: 'plan-changed', planned: planned.base, found };
  const hash = planHash(planned.base, planned.ring, planned.transfers);
  if (planned.hash !== hash) return { error: 'plan-changed', planned: planned.hash, found: hash };
  const waitingFor = notSeenBy(ring, seen);
  if (waitingFor.length > 0) return { error: 'ring-not-ready', waitingFor };
  const owners = ring.owners.map((owner, p) => (owner === '' ? (planned.ring.owners[p] as string) : owner));
  const next = planned.transfers.map(({ partition, from, to }) => ({ partition, from, to }));
  // Who left in the end, in the plan, leaves as long as it has something to hand over.
  const members = planned.ring.members.map((member): RingMember => {
    const stays = member.status === 'exiting' && owners.includes(member.name);
    return stays ? { ...member, status: 'leaving' } : member;
  });
  return changed(ring, by, { owners, next, members });
}

// ---- transfers ----

/** The data of a partition has arrived: it changes hands. A report that comes twice, or too late, is refused. */
export function complete(ring: Ring, transfer: Transfer, by: string): Ring | TransferRefusal {
  const { partition, from, to } = transfer;
  const known = ring.next.find(pending => pending.partition === partition);
  if (known === undefined || known.from !== from || known.to !== to) return { error: 'no-such-transfer', transfer };
  const owners = ring.owners.slice();
  owners[partition] = to;
  const next = ring.next.filter(pending => pending !== known);
  return changed(ring, by, { owners, next, members: ring.members.map(settled(owners)) });
}

export interface TransferLimits {
  readonly total?: number;
  readonly out?: number;
  readonly in?: number;
}

/**
 * Which pending transfers may begin now, beside those that run. One that was interrupted is pending like any other; what
 * it had brought across is between the two ends. A receiver that is down waits; a sender that is down does not, if there
 * are other copies to take the data from: that is for the receiver to find out.
 */
export function startable(
  ring: Ring,
  running: readonly Transfer[],
  isUp: (name: string) => boolean,
  { total = transfersMax, out = transfersOutMax, in: into = transfersInMax }: TransferLimits = {},
): Transfer[] {
  const leaving = new Map<string, number>();
  const entering = new Map<string, number>();
  const count = ({ from, to }: Transfer): void => {
    leaving.set(from, (leaving.get(from) ?? 0) + 1);
    entering.set(to, (entering.get(to) ?? 0) + 1);
  };
  for (const transfer of running) count(transfer);
  const busy = new Set(running.map(({ partition }) => partition));
  const begin: Transfer[] = [];
  for (const transfer of ring.next) {
    if (running.length + begin.length >= total) break;
    const { partition, from, to } = transfer;
    if (busy.has(partition) || !isUp(to)) continue;
    if ((leaving.get(from) ?? 0) >= out || (entering.get(to) ?? 0) >= into) continue;
    count(transfer);
    begin.push(transfer);
  }
  return begin;
}

// ---- members ----

/** Writes down that a member is down, or valid again. No owner changes, and nothing is transferred. */
export function mark(ring: Ring, name: string, status: 'valid' | 'down', by: string): Ring {
  const member = memberOf(ring, name);
  if (member === undefined || member.status === status || !['valid', 'down'].includes(member.status)) return ring;
  return changed(ring, by, { members: ring.members.map(each => (each === member ? { ...member, status } : each)) });
}

/** Writes down somebody who asked to join. It owns nothing before a plan with it is committed. */
export function announce(ring: Ring, { name, weight = 1, zone = '', rack = '' }: JoiningMember, by: string): Ring {
  if (memberOf(ring, name) !== undefined) return ring;
  return changed(ring, by, { members: [...ring.members, { name, status: 'joining', weight, zone, rack }] });
}

/** Takes a member that has left, and knows it, out of the ring. */
export function forget(ring: Ring, name: string, by: string): Ring {
  if (memberOf(ring, name)?.status !== 'exiting') return ring;
  return changed(ring, by, { members: ring.members.filter(member => member.name !== name) });
}
