// node.relocate() and node.locate() where there are other nodes: whose word it is, and what is asked of whom.
//
//     anybody ──relocate──▶ home of the actor ──▶ homes.ts         a thread of its own node, never away: relocate-here.ts

import { TroupeError } from '../errors.ts';
import { guestMoveMs } from '../limits.ts';
import type { Gateway } from './gateway/gateway.ts';
import { here } from './gateway/node-table.ts';
import { ringPartition } from './handoff/ring-partition.ts';
import { parseNodeAddress } from './ids.ts';
import { inTime } from './in-time.ts';
import { type BaseRef, KEY, TYPE } from './refs.ts';
import { type Here, type Relocation, relocateHere } from './relocate-here.ts';
import type { Member } from './thread-host.ts';

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
  if (!isHome) {
    const asked = gateway.asked(gateway.numberOf(home), 'relocate', { type: ref[TYPE].name, key: ref[KEY], to: node });
    const who = `the home of ${unit}, node ${gateway.nodes.names[home] ?? 'unknown'},`;
    const why = `${who} has not answered within ${guestMoveMs} ms; the move may go on`;
    // Whoever has a gateway has a member.
    const { clock } = (at.member as Member).host.world;
    return inTime(clock, guestMoveMs, asked as Promise<Relocation>, () => new TroupeError('UNKNOWN_OUTCOME', why));
  }
  const ready = async (): Promise<void> => {
    if (at.threads === 0) return;
    await relocateHere(at, ref, `${at.node}/0`);
    // Somebody had asked for that while it was on its way here.
    if (at.member?.overseer?.inMotion(each => each === unit) !== undefined)
      throw new TroupeError('OVERLOADED', `${unit} is being moved to another thread; try again later`);
  };
  return gateway.homes.relocate(unit, node, ready);
}
