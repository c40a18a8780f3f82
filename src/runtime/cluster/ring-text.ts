// A ring as other nodes and the disk have it, and what is refused before it is believed. Pure.

import { TroupeError } from '../../errors.ts';
import { membersMax } from '../../limits.ts';
import { checkNodeName } from '../ids.ts';
import { type MemberStatus, type Ring, ringHash } from '../ownership/ring.ts';

const statuses: readonly MemberStatus[] = ['joining', 'valid', 'leaving', 'exiting', 'down'];

/** Plain data, as it is sent and stored. Throws BAD_MESSAGE, and BAD_OPTION for a sound ring that is not one for this node. */
export function ringOf(value: unknown, cluster: string, partitions: number): Ring {
  const ring = value as Ring;
  const holds =
    typeof ring === 'object' &&
    ring !== null &&
    typeof ring.cluster === 'string' &&
    Number.isSafeInteger(ring.epoch) &&
    ring.epoch > 0 &&
    isName(ring.claimant) &&
    Array.isArray(ring.members) &&
    ring.members.length <= membersMax &&
    ring.members.every(isMember) &&
    Array.isArray(ring.owners) &&
    Array.isArray(ring.next);
  const names = new Set(holds ? ring.members.map(({ name }) => name) : []);
  const isOwner = (owner: unknown): boolean => names.has(owner as string);
  if (!holds || !ring.owners.every(isOwner) || !ring.next.every(({ from, to }) => isOwner(from) && isOwner(to)))
    throw new TroupeError('BAD_MESSAGE', 'what was told or stored is no ring');
  const found = ring.owners.length;
  if (ring.cluster !== cluster)
    throw new TroupeError(
      'BAD_OPTION',
      `the ring is of cluster '${ring.cluster}', and this node is of '${cluster}'; give it that name`,
      {
        details: { option: 'cluster', found: ring.cluster },
      },
    );
  if (found !== partitions)
    throw new TroupeError(
      'BAD_OPTION',
      `the ring has ${found} partitions, and this node ${partitions}: that is fixed at the birth of its data; begin with partitions: ${found} in an empty directory`,
      { details: { option: 'partitions', found } },
    );
  return ring;
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

/** What is gossiped of a ring: whoever does not have it asks for it. */
export function tagOf(ring: Ring): { readonly epoch: number; readonly hash: string; readonly blob: string } {
  return { epoch: ring.epoch, hash: ringHash(ring), blob: '' };
}
