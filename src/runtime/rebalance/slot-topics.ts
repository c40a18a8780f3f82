// What is published while a slot changes threads. Each thread tells everybody at once but the slot's own subscribers, and those when the
// slot is where it goes: in line with the messages it keeps back for them (held.ts).
//
//     publish ──{ without: slot }──▶ all threads: their other subscribers       then, released: ──{ only: slot }──▶ whoever owns it
//
// Invariant: of each value exactly one thread delivers to a subscriber, and in the order of its publisher's other messages.

import { handoffHeldMax } from '../../limits.ts';
import type { FarRouter } from '../far-router.ts';
import { topicMethod } from '../hosted-type.ts';
import { isUnitIn } from './slot-group.ts';

export interface Published {
  readonly topic: string;
  readonly value: unknown;
  /** Groups (slot-group.ts): its subscribers are left out; it is for its subscribers alone. */
  readonly without?: number;
  readonly only?: number;
}

export class SlotTopics {
  readonly #router: FarRouter;

  constructor(router: FarRouter) {
    this.#router = router;
  }

  /** Thread `from` has published something. */
  heard(from: number, { topic, value, without, only }: Published): void {
    const { topics } = this.#router.host;
    const group = without ?? only;
    if (group === undefined) topics.deliver(topic, value, from);
    else topics.deliver(topic, value, from, id => isUnitIn(this.#router, group, id) === (only !== undefined));
  }

  /** Behind what this thread keeps back already. */
  later(group: number, topic: string, value: unknown): void {
    const { held, host } = this.#router;
    const entries = held.get(group)?.entries;
    if (entries !== undefined && entries.length >= handoffHeldMax) {
      const why = `a slot is changing threads, and ${handoffHeldMax} messages wait for it; its subscribers were not told`;
      host.deadLetter(topic, 'onTopic', [topic, value], why);
      return;
    }
    held.behind(group, () => {
      this.#router.broadcast('publish', { topic, value, only: group });
      this.heard(host.thread, { topic, value, only: group });
    });
  }

  /** True: a subscriber here is at rest, and has been given it. What was published before its slot was held comes to its mailbox. */
  relay(unit: string, from: number, topic: string, value: unknown): boolean {
    const { held, host } = this.#router;
    const { slot } = held;
    if (slot === undefined || from === host.thread || !isUnitIn(this.#router, slot.partition, unit)) return false;
    const ref = host.refById(unit);
    // Each subscriber has a copy of its own.
    const own = typeof value === 'object' && value !== null ? host.codec.cloneThroughWire(value) : value;
    const message = { code: (topicMethod << 2) | 2, a0: topic, a1: own, call: null };
    try {
      held.pass(ref, message, from);
    } catch (error) {
      held.refuse(ref, message, error);
    }
    return true;
  }
}
