// Publish and subscribe on one node: subscribers are addresses, so they hear of a topic asleep, awake or moved; a value
// goes to the subscribers of this thread and, as a control message, to the other threads for theirs.

import { describeThrown, TroupeError } from '../errors.ts';
import { topicCharsMax } from '../limits.ts';
import type { Activation } from './activation.ts';
import type { Host } from './host.ts';
import { topicMethod } from './hosted-type.ts';
import { PubSub } from './pubsub.ts';

/** While subscribers move: who delivers what a thread publishes, and in which order (far-topics.ts). */
export interface TopicGate {
  /** Is it this thread that delivers to that subscriber what thread `from` publishes? */
  hears(id: string, from: number): boolean;
  /** True when it has seen to the delivery itself. */
  relay(id: string, from: number, topic: string, value: unknown): boolean;
  /** The group of a slot that changes threads: its subscribers are left out now, and served by later(). */
  readonly apart: number | undefined;
  later(group: number, topic: string, value: unknown): void;
  isIn(group: number, id: string): boolean;
}

export class Topics {
  gate: TopicGate | null = null;
  private readonly host: Host;
  private readonly table = new PubSub();

  constructor(host: Host) {
    this.host = host;
  }

  subscribe(topic: string, act: Activation): void {
    checkTopic(topic);
    // A spawned child is found by its number only once somebody may ask for it.
    if (typeof act.keyed !== 'string') this.host.refTo(act);
    this.table.subscribe(topic, act.id);
  }

  unsubscribe(topic: string, act: Activation): void {
    this.table.unsubscribe(topic, act.id);
  }

  publish(topic: string, given: unknown, from: Activation): void {
    checkTopic(topic);
    // Held back at a gate, it must stay what it was; and each subscriber gets a copy of its own (deliver).
    const value = from.hosted.persists ? this.copy(given) : given;
    const send = (): void => this.send(topic, value);
    this.host.observer?.effect(from, 'publish', { topic, value: this.copy(value) });
    const refuse = (error: unknown): void =>
      this.host.deadLetter(topic, 'onTopic', [topic, value], describeThrown(error).message);
    if (from.hosted.persists) this.host.persistence.hold(from, { send, refuse });
    else send();
  }

  private send(topic: string, value: unknown): void {
    const { gate } = this;
    const without = gate?.apart;
    // The others first: what cannot be sent to them reaches nobody.
    this.host.router.broadcast('publish', without === undefined ? { topic, value } : { topic, value, without });
    if (gate === null || without === undefined) {
      this.deliver(topic, value, this.host.thread);
      return;
    }
    this.deliver(topic, value, this.host.thread, id => !gate.isIn(without, id));
    gate.later(without, topic, this.copy(value));
  }

  /** To the subscribers of this thread, what thread `from` has published; `which`: only to those. */
  deliver(topic: string, value: unknown, from: number, which: ((id: string) => boolean) | null = null): void {
    const { gate } = this;
    for (const id of this.table.match(topic)) {
      if (which !== null && !which(id)) continue;
      if (gate !== null && (!gate.hears(id, from) || gate.relay(id, from, topic, value))) continue;
      try {
        // Not tell(): what publishes has passed its gate already, and the message is nobody's but the publisher's.
        const ref = this.host.refById(id);
        void this.host.send(ref, (topicMethod << 2) | 2, topic, this.copy(value), null);
      } catch (error) {
        this.host.deadLetter(id, 'onTopic', [topic, value], String(error));
      }
    }
  }

  private copy(value: unknown): unknown {
    return typeof value === 'object' && value !== null ? this.host.codec.cloneThroughWire(value) : value;
  }

  give(id: string, topics: readonly string[]): void {
    for (const topic of topics) this.table.subscribe(topic, id);
  }

  of(id: string): string[] {
    return this.table.topicsOf(id);
  }

  /** Who is subscribed, asleep or awake, and for whom it is true. */
  those(which: (id: string) => boolean): [id: string, topics: string[]][] {
    return [...this.table.everybody()].filter(which).map(id => [id, this.of(id)]);
  }

  drop(id: string): void {
    this.table.drop(id);
  }
}

function checkTopic(topic: unknown): void {
  if (typeof topic === 'string' && topic !== '' && topic.length <= topicCharsMax) return;
  throw new TroupeError('BAD_OPTION', `a topic is a string of 1 to ${topicCharsMax} characters`);
}
