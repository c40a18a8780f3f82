// A partition that its owner gives to one of those that keep a copy of it (handoff/handing.ts): what has to hold before, and who agrees.
//
//     the other one has all there is ─▶ it promises the turn to itself ─▶ a quorum, the owner in it, agrees ─▶ the ring is written
//
// Invariant: nobody else can be agreed to under that turn, and whoever is agreed to under a later one has all that was acknowledged.

import { TroupeError } from '../../errors.ts';
import type { Host } from '../host.ts';
import type { Campaigns } from './campaign.ts';
import { everybody } from './groups.ts';
import type { Leading } from './leading.ts';
import type { Lease } from './lease.ts';
import type { ReplicaRecords } from './replica-records.ts';

export interface GivingSeams {
  readonly host: Host;
  readonly records: ReplicaRecords;
  readonly campaigns: Campaigns;
  readonly lease: Lease;
  turnOf(partition: number): number;
  leadingOf(partition: number): Leading | undefined;
}

export interface Consent {
  readonly turn: number;
  /** Nobody else can have been agreed to since. */
  holds(): boolean;
}

export class Giving {
  readonly #seams: GivingSeams;

  constructor(seams: GivingSeams) {
    this.#seams = seams;
  }

  /** Undefined: that node has a copy of all there is but for what is just under way. Else why it cannot become the owner. */
  whyNot(partition: number, to: string): string | undefined {
    const leading = this.#seams.leadingOf(partition);
    if (leading?.isEstablished !== true) return 'its copies are not established yet';
    if (leading.followers.get(to)?.isFollowing !== true) return `node ${to} has no copy of it yet`;
    if (!everybody(leading.groups).includes(to)) return `node ${to} is not of its group yet`;
    return leading.groups.length > 1 ? 'its group is just changing' : undefined;
  }

  /** Resolves when that node has all there is; nothing is written any more. */
  async reached(partition: number, to: string, isOff: () => boolean): Promise<void> {
    const { clock } = this.#seams.host.world;
    for (let leading = this.#seams.leadingOf(partition); !isOff(); leading = this.#seams.leadingOf(partition)) {
      if (leading === undefined) throw new TroupeError('STOPPED', `partition ${partition} is not kept by others`);
      const { round } = leading;
      if (leading.hasReached(to, round)) {
        await this.#seams.records.change(partition, now => ({ ...now, round }));
        return;
      }
      await new Promise<void>(again => clock.timer(1, again));
    }
  }

  /** At the new owner, before it says that it is ready: it is for nobody else under that turn. */
  async promise(partition: number): Promise<void> {
    const { node } = this.#seams.host;
    const turn = this.#seams.turnOf(partition) + 1;
    await this.#seams.records.change(partition, now => {
      if (now.promised > turn || (now.promised === turn && now.promisedTo !== node))
        throw promisedAway(partition, now.promised);
      return { ...now, promised: turn, promisedTo: node };
    });
  }

  /** At the old one: a quorum agrees that it goes there, under the turn that this resolves with. Throws QUORUM. */
  async consent(partition: number, to: string): Promise<Consent> {
    const leading = this.#seams.leadingOf(partition);
    // Who has led it for a moment only may have asked the others long before. A lease that ends before the ring is written would turn this into a
    // take-over, and refuse what waits here.
    if (leading !== undefined) await this.#seams.lease.freshen(leading);
    const holds = this.#seams.lease.lasting(partition);
    const groups = leading?.groups;
    const { turn } = await this.#seams.campaigns.agree(partition, this.#seams.turnOf(partition) + 1, to, true);
    // From here on no other groups can be stored, and no other owner be agreed to under that turn.
    const why = this.whyNot(partition, to);
    if (
      why === undefined &&
      leading !== undefined &&
      leading.groups === groups &&
      leading.hasReached(to, leading.round)
    )
      return { turn, holds };
    throw new TroupeError(
      'OVERLOADED',
      `partition ${partition} cannot go to ${to} now: ${why ?? 'its copies have changed'}`,
    );
  }
}

export function promisedAway(partition: number, promised: number): TroupeError {
  return new TroupeError('FENCED', `partition ${partition} has been promised away, under turn ${promised}`);
}
