// When a partition is asked for: its owner is down by gossip and its lease is over, or this node owns it and somebody has agreed to
// another. The asking itself: campaign.ts.
//
// Intuition: gossip only says when to try. Whether it may be done is said by those who agree, each of whom knows when it heard of the owner.

import { campaignWaitMs } from '../../limits.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { Host } from '../host.ts';
import { type CampaignSeams, Campaigns } from './campaign.ts';
import { everybody, isQuorum } from './groups.ts';

export interface TakeoverSeams extends CampaignSeams {
  readonly host: Host;
  readonly gateway: Gateway;
  isDown(node: string): boolean;
  /** By this node, which owns it: then it is promised to whoever gets it. */
  isBeingGiven(partition: number): boolean;
  /** It is ours under that turn: durable, then everywhere. */
  takeOver(partition: number, turn: number): Promise<void>;
  raiseEpochs(above: number): Promise<void>;
}

export class Takeovers {
  readonly campaigns: Campaigns;
  readonly #seams: TakeoverSeams;
  readonly #under = new Set<number>();
  /** By partition, the turn that was agreed to last, and is this node's by its own word. */
  readonly #agreed = new Map<number, number>();
  /** The last turn that was asked for in vain, and why nobody agreed. */
  readonly #vain = new Map<number, { readonly from: string; readonly turn: number; readonly why: string }>();
  taken = 0;

  constructor(seams: TakeoverSeams) {
    this.#seams = seams;
    this.campaigns = new Campaigns(seams);
  }

  /** `above`: somebody has promised that turn, and this node still owns it. */
  begin(partition: number, above = -1): void {
    const { host, gateway, records, ownerOf, self } = this.#seams;
    const { groups, whole } = records.get(partition);
    if (!everybody(groups).includes(self) || !whole || this.#under.has(partition)) return;
    this.#under.add(partition);
    // One after the other, the next in the order of the partition first: who asks promises itself the turn.
    const owner = ownerOf(partition);
    const rank = everybody(groups)
      .filter(name => name !== owner)
      .indexOf(self);
    const waitMs = (Math.max(0, rank) + host.world.random.float() / 2) * campaignWaitMs;
    gateway.timers.later(1 + waitMs, () => {
      void this.#ask(partition, above).finally(() => this.#under.delete(partition));
    });
  }

  async #ask(partition: number, above: number): Promise<void> {
    const { host, self, records, lease, ownerOf, turnOf, isDown, takeOver, raiseEpochs } = this.#seams;
    const from = ownerOf(partition) ?? '';
    const isOurs = from === self;
    if (!isOurs && this.campaigns.yields(partition)) return;
    if (isOurs ? above < 0 || this.#seams.isBeingGiven(partition) : !isDown(from) || !lease.isOver(from)) return;
    // Whose group is an old one may never be agreed to, and each turn that it asks for is in the way of who can be: it asks nobody in vain.
    const isLinked = (name: string): boolean => name === self || this.#seams.gateway.linked(name) !== undefined;
    if (!isQuorum(records.get(partition).groups, isLinked)) return;
    const turn =
      Math.max(records.get(partition).promised, above, turnOf(partition), this.campaigns.heardOf(partition)) + 1;
    try {
      const { epoch } = await this.campaigns.agree(partition, turn, self, false);
      await raiseEpochs(epoch);
      // Meanwhile it may have been given away, or promised to somebody else.
      if (records.get(partition).promised !== turn || ownerOf(partition) !== from) return;
      this.#agreed.set(partition, turn);
      await takeOver(partition, turn);
      this.#vain.delete(partition);
      if (isOurs) return;
      this.taken++;
      host.events.emit('partition-taken-over', { partition, from, turn });
      host.world.log.warn({ partition, from, turn }, 'a partition of a node that is lost is served here now');
    } catch (error) {
      this.#vain.set(partition, { from, turn, why: (error as Error).message });
      host.world.log.debug({ err: error, partition, from }, 'nobody agrees yet that a lost partition is served here');
    }
  }

  /** Is it this node's under that turn because it asked for it? Otherwise its owner has given it. */
  isTaken(partition: number, turn: number): boolean {
    return this.#agreed.get(partition) === turn;
  }

  /** What is asked for here in vain, as long as its owner is who it was then. */
  describe(): object[] {
    return [...this.#vain]
      .filter(([partition, { from }]) => this.#seams.ownerOf(partition) === from)
      .map(([partition, vain]) => ({ partition, ...vain }));
  }
}
