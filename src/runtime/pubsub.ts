// Who listens to which topic on this thread. Two maps that mirror each other: from a topic to its subscribers, in the
// order they came, and from a subscriber to its topics, so that one that ends costs its own topics and not a walk over all.
//
// match() is the hot half (every publish) and subscribe() the cold one, so the list of a topic is built on the first match
// after a change and handed out again until the next: what a publisher iterates never changes under it.
//
// Invariants: the maps say the same; a topic without subscribers and a subscriber without topics are in neither.

import { TroupeError } from '../errors.ts';
import { subscribersPerTopicMax, topicsMax, topicsPerSubscriberMax } from '../limits.ts';

export interface PubSubBounds {
  readonly subscribersPerTopic: number;
  readonly topicsPerSubscriber: number;
  readonly topics: number;
}

interface Listeners {
  readonly ids: Set<string>;
  list: readonly string[] | null;
}

const nobody: readonly string[] = Object.freeze([]);

export class PubSub {
  private readonly topics = new Map<string, Listeners>();
  private readonly subscribers = new Map<string, Set<string>>();
  private readonly bounds: PubSubBounds;

  constructor(bounds: Partial<PubSubBounds> = {}) {
    this.bounds = {
      subscribersPerTopic: bounds.subscribersPerTopic ?? subscribersPerTopicMax,
      topicsPerSubscriber: bounds.topicsPerSubscriber ?? topicsPerSubscriberMax,
      topics: bounds.topics ?? topicsMax,
    };
  }

  /** True when it is new. Subscribing again changes nothing, not even the order. Throws OVERLOADED at a bound. */
  subscribe(topic: string, id: string): boolean {
    const listeners = this.topics.get(topic);
    if (listeners?.ids.has(id) === true) return false;
    const own = this.subscribers.get(id);
    this.refuseWhenFull(topic, id, listeners?.ids.size ?? 0, own?.size ?? 0);
    if (listeners === undefined) this.topics.set(topic, { ids: new Set([id]), list: null });
    else {
      listeners.ids.add(id);
      listeners.list = null;
    }
    if (own === undefined) this.subscribers.set(id, new Set([topic]));
    else own.add(topic);
    return true;
  }

  /** True when it was subscribed. */
  unsubscribe(topic: string, id: string): boolean {
    const own = this.subscribers.get(id);
    if (own === undefined || !own.delete(topic)) return false;
    if (own.size === 0) this.subscribers.delete(id);
    this.leave(topic, id);
    return true;
  }

  /** Ends every subscription of one subscriber; says how many there were. */
  drop(id: string): number {
    const own = this.subscribers.get(id);
    if (own === undefined) return 0;
    this.subscribers.delete(id);
    for (const topic of own) this.leave(topic, id);
    return own.size;
  }

  /** The subscribers of a topic in the order they came: a list that later changes do not touch. */
  match(topic: string): readonly string[] {
    const listeners = this.topics.get(topic);
    if (listeners === undefined) return nobody;
    listeners.list ??= [...listeners.ids];
    return listeners.list;
  }

  /** The topics of a subscriber in the order it subscribed. */
  topicsOf(id: string): string[] {
    return [...(this.subscribers.get(id) ?? [])];
  }

  /** Everybody who is subscribed to anything. */
  everybody(): IterableIterator<string> {
    return this.subscribers.keys();
  }

  counts(): { topics: number; subscribers: number } {
    return { topics: this.topics.size, subscribers: this.subscribers.size };
  }

  private leave(topic: string, id: string): void {
    const listeners = this.topics.get(topic) as Listeners;
    listeners.ids.delete(id);
    listeners.list = null;
    if (listeners.ids.size === 0) this.topics.delete(topic);
  }

  private refuseWhenFull(topic: string, id: string, listening: number, own: number): void {
    const { subscribersPerTopic, topicsPerSubscriber, topics } = this.bounds;
    if (listening >= subscribersPerTopic) {
      const remedy = 'split the topic, or let one subscriber pass messages on';
      throw full(`topic '${topic}' has ${listening} subscribers, the most it may; ${remedy}`, subscribersPerTopic);
    }
    if (own >= topicsPerSubscriber) {
      const remedy = 'unsubscribe from some, or subscribe to a broader topic';
      throw full(`'${id}' is subscribed to ${own} topics, the most it may be; ${remedy}`, topicsPerSubscriber);
    }
    if (listening === 0 && this.topics.size >= topics) {
      const remedy = 'put the changing part into the message instead of the name';
      throw full(`this thread knows ${this.topics.size} topics, the most it may; ${remedy}`, topics);
    }
  }
}

function full(message: string, limit: number): TroupeError {
  return new TroupeError('OVERLOADED', message, { details: { limit }, retryable: false });
}
