// node.relocate() and node.locate() where there are other nodes: whose word it is, and what is asked of whom.
//
//     anybody ──relocate──▶ home of the actor ──▶ homes.ts         a thread of its own node, never away: relocate-here.ts

import { TroupeError } from '../errors.ts';
import { guestLookMs, guestMoveMs } from '../limits.ts';
import type { Gateway } from './gateway/gateway.ts';
import type { Homes } from './gateway/homes.ts';
import { here } from './gateway/node-table.ts';
import { ringPartition } from './handoff/ring-partition.ts';
import { parseNodeAddress } from './ids.ts';
import { inTime } from './in-time.ts';
import { type BaseRef, KEY, TYPE } from './refs.ts';
import { type Here, type Relocation, relocateHere } from './relocate-here.ts';
import type { Member } from './thread-host.ts';
import type { Cancel, Clock } from './world.ts';

/** `to` as in relocateHere, or the name of another node. */
export async function relocateAcross(at: Here, gateway: Gateway, ref: BaseRef, to: string): Promise<Relocation> {
  const { node, thread } = parseNodeAddress(to);
  const unit = ref.toString();
  const { spec } = ref[TYPE];
  if (spec.placement !== 'ring') {
    if (node === at.node) return relocateHere(at, ref, to);
    throw new TroupeError('BAD_OPTION', `${unit} cannot move to another node: its placement is '${spec.placement}'`);
  }
  const home = gateway.nodes.nodeOf(spec, ref[KEY]);
  const partition = ringPartition(ref[TYPE], ref[KEY]);
  if (partition !== undefined) gateway.handoffs.refuseMove(unit, partition);
  at.member?.router.shifts?.refuseMove(unit);
  const isHome = home === here;
  if (isHome && node === at.node && thread !== undefined && !gateway.isAway(unit)) return relocateHere(at, ref, to);
  if (!gateway.nodes.names.includes(node))
    throw new TroupeError(
      'BAD_OPTION',
      `node ${at.node} knows no node '${node}'; it knows ${gateway.nodes.names.join(', ')}`,
    );
  if (thread !== undefined && thread !== 0)
    throw new TroupeError(
      'BAD_OPTION',
      `an actor that has been moved between nodes runs on thread 0: '${node}', not '${to}'`,
    );
  if (spec.ownsShards)
    throw new TroupeError('BAD_OPTION', `${unit} keeps records of its own, which do not move between nodes yet`);
  const { homes } = gateway;
  const homeName = isHome ? at.node : (gateway.nodes.names[home] ?? 'unknown');
  /** Whose answer the move waits for without a bound of its own. */
  const partner = isHome ? (homes.nodeOf(unit) ?? at.node) : homeName;
  const lost = [partner, node].find(homes.isDown);
  if (lost !== undefined) throw new TroupeError('OVERLOADED', `${unit} cannot move now: node ${lost} is down`);
  // Whoever has a gateway has a member.
  const { clock } = (at.member as Member).host.world;
  if (!isHome) {
    const asked = gateway.asked(gateway.numberOf(home), 'relocate', { type: ref[TYPE].name, key: ref[KEY], to: node });
    const why = `the home of ${unit}, node ${homeName}, has not answered within ${guestMoveMs} ms; the move may go on`;
    const late = (): Error => new TroupeError('UNKNOWN_OUTCOME', why);
    return inTime(clock, guestMoveMs, unlessDown(clock, homes, partner, unit, asked as Promise<Relocation>), late);
  }
  const ready = async (): Promise<void> => {
    if (at.threads === 0) return;
    await relocateHere(at, ref, `${at.node}/0`);
    // Somebody had asked for that while it was on its way here.
    if (at.member?.overseer?.inMotion(each => each === unit) !== undefined)
      throw new TroupeError('OVERLOADED', `${unit} is being moved to another thread; try again later`);
  };
  return unlessDown(clock, homes, partner, unit, homes.relocate(unit, node, ready));
}

/** A session outlives its node for a minute, in which that may be back and go on. Whoever has asked for the move hears earlier that it is down. */
function unlessDown(
  clock: Clock,
  { isDown }: Homes,
  partner: string,
  unit: string,
  move: Promise<Relocation>,
): Promise<Relocation> {
  let cancel: Cancel = () => undefined;
  const down = new Promise<never>((_, reject) => {
    const look = (): void => {
      const why = `node ${partner} went down while ${unit} moved; the move goes on when it is back, or is called off`;
      if (isDown(partner)) reject(new TroupeError('UNKNOWN_OUTCOME', why));
      else cancel = clock.timer(guestLookMs, look);
    };
    cancel = clock.timer(guestLookMs, look);
  });
  return Promise.race([move, down]).finally(() => cancel());
}
