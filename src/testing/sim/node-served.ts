// Some nodes stay away for good: who of the others serves what they led, and who could? By what each node says of itself. Pure.
//
//     n1 away, led p     n2 knows round 17, whole     n3 knows round 18, whole     ─▶ n3 can be agreed to: so p must be served
//                                                     n3 knows round 18, not whole ─▶ nobody can: p waits for n1, as promised
//     n1 and n4 away, whose disks say that the group is n1 n2 n4 by now ─▶ n2 and n3, who go by an older one, cannot
//
// Intuition: who could win is asked of the records and not of the protocol, which may be what is wrong.

import { comparePositions, everybody, type Groups, isKept, type Position } from '../../runtime/replicas/groups.ts';
import { noRecord, positionOf } from '../../runtime/replicas/replica-records.ts';
import type { NodeLife } from '../node-life-host.ts';
import type { SimDisk } from './disk.ts';
import { type KeptRow, keptOn } from './node-disks.ts';

export interface LedRow {
  readonly partition: number;
  readonly turn: number;
  readonly groups: Groups;
  readonly established: boolean;
}

export interface AskedRow {
  readonly partition: number;
  /** Asked for in vain. */
  readonly turn: number;
  readonly why: string;
}

/** One that is up. */
export interface NodeView {
  readonly name: string;
  /** By partition; undefined: it has no ring. */
  readonly owners: readonly string[] | undefined;
  readonly leading: readonly LedRow[];
  readonly following: readonly KeptRow[];
  readonly asking: readonly AskedRow[];
}

export function viewOf(name: string, node: NodeLife): NodeView {
  const { replicas } = node.gateway.describe() as { replicas: Pick<NodeView, 'leading' | 'following' | 'asking'> };
  return { name, owners: node.cluster.effectiveRing()?.owners, ...replicas };
}

/** Of one who is away: by what lies on its disk. */
export function storedView(name: string, disk: SimDisk): NodeView {
  return { name, owners: undefined, leading: [], following: keptOn(disk), asking: [] };
}

const rowOf = <T extends { readonly partition: number }>(rows: readonly T[], partition: number): T | undefined =>
  rows.find(row => row.partition === partition);

/** Who shall own that partition: out, one who keeps no copy of it, as its owner sees it; back, its owner. */
export function wishedOwner(wish: 'out' | 'back', partition: number, views: readonly NodeView[]): string | undefined {
  const owner = views.find(({ leading }) => rowOf(leading, partition) !== undefined);
  if (owner === undefined || wish === 'back') return owner?.name;
  const { groups } = rowOf(owner.leading, partition) as LedRow;
  return views.find(({ name }) => !everybody(groups).includes(name))?.name;
}

/** The first of so many partitions that must be served and is not, and why. */
export function unservedOf(
  count: number,
  views: readonly NodeView[],
  isExcused: (partition: number) => boolean,
): string | undefined {
  for (let partition = 0; partition < count; partition++) {
    const why = whyNotServed(partition, views);
    if (why !== undefined && !isExcused(partition)) return why;
  }
  return undefined;
}

/** Undefined: one of them owns it in the eyes of all, and a quorum has what it has. Else what each of them makes of it. */
export function whyNotServed(partition: number, views: readonly NodeView[]): string | undefined {
  const [owner, ...others] = new Set(views.map(({ owners }) => owners?.[partition]));
  const view = views.find(({ name }) => name === owner);
  const isServed = view !== undefined && others.length === 0 && rowOf(view.leading, partition)?.established === true;
  return isServed ? undefined : `partition ${partition}: ${views.map(each => told(partition, each)).join('; ')}`;
}

function told(partition: number, { name, owners, leading, following, asking }: NodeView): string {
  if (owners === undefined) return `${name} has no ring`;
  const [led, followed, asked] = [rowOf(leading, partition), rowOf(following, partition), rowOf(asking, partition)];
  const of = (groups: Groups): string => groups.map(group => group.join(' ')).join(' and ');
  return [
    `${name} sees it with ${owners[partition]}`,
    led && `leads it under turn ${led.turn}${led.established ? '' : ', not established'}, kept by ${of(led.groups)}`,
    followed &&
      `has turn ${followed.turn}, round ${followed.round}${followed.whole ? '' : ', not whole'}, kept by ${of(followed.groups)}`,
    followed && `has promised turn ${followed.promised} to ${followed.promisedTo || 'nobody'}`,
    asked && `campaigns, last for turn ${asked.turn} in vain (${asked.why})`,
  ]
    .filter(each => each !== undefined)
    .join(', ');
}

/** Why none of them can serve it without those who are away, and none of them is to blame. Undefined: it must be served. */
export function excuseOf(
  partition: number,
  views: readonly NodeView[],
  away: readonly NodeView[] = [],
): string | undefined {
  const isUp = (name: string): boolean => views.some(view => view.name === name);
  const groupsOf = ({ leading, following }: NodeView): Groups =>
    (rowOf(leading, partition) ?? rowOf(following, partition))?.groups ?? [];
  if (!views.some(view => isKept(groupsOf(view), isUp))) return 'a majority of its group is away';
  const positions = new Map(views.map(view => [view.name, positionIn(partition, view)]));
  const isLater = (view: NodeView): boolean =>
    [...positions.values()].every(position => comparePositions(positionIn(partition, view), position) > 0);
  const later = away.filter(isLater).map(groupsOf);
  if (later.some(groups => groups.length === 1 && !isKept(groups, isUp)))
    return 'a majority of the group that it has by now is away';
  // Nothing is known of who is away: it can neither agree nor have more.
  const agreesTo = (name: string, position: Position): boolean => {
    const own = positions.get(name);
    return own !== undefined && comparePositions(own, position) <= 0;
  };
  const canServe = (view: NodeView): boolean => {
    const { name, leading, following } = view;
    const isWhole = rowOf(leading, partition) !== undefined || rowOf(following, partition)?.whole === true;
    const groups = groupsOf(view);
    const position = positions.get(name) as Position;
    return isWhole && everybody(groups).includes(name) && isKept(groups, each => agreesTo(each, position));
  };
  return views.some(canServe) ? undefined : 'whoever has the most of it has no whole copy';
}

function positionIn(partition: number, { leading, following }: NodeView): Position {
  const led = rowOf(leading, partition);
  if (led !== undefined) return { turn: led.turn, round: Number.MAX_SAFE_INTEGER };
  return positionOf(rowOf(following, partition) ?? noRecord);
}
