// Publish and subscribe on one node: subscribers are addresses, so they hear of a topic asleep, awake or moved; a value
// goes to the subscribers of this thread and, as a control message, to the other threads for theirs.

import type { Activation } from './activation.ts';
import type { Host } from './host.ts';
import { topicMethod } from './hosted-type.ts';
import { PubSub } from './pubsub.ts';

export class Topics {
  private readonly host: Host;
  private readonly table = new PubSub();

  constructor(host: Host) {
    this.host = host;
  }

  subscribe(topic: string, act: Activation): void {
    this.table.subscribe(topic, act.id);
  }

  unsubscribe(topic: string, act: Activation): void {
    this.table.unsubscribe(topic, act.id);
  }

  publish(topic: string, value: unknown, from: Activation): void {
    const send = (): void => {
      this.deliver(topic, value);
      this.host.router.broadcast('publish', { topic, value });
    };
    this.host.observer?.effect(from, 'publish', { topic, value });
    if (from.hosted.persists) this.host.persistence.gateTell(from, send);
    else send();
  }

  /** To the subscribers of this thread. */
  deliver(topic: string, value: unknown): void {
    for (const id of this.table.match(topic)) {
      const slash = id.indexOf('/');
      try {
        void this.host.tell(
          this.host.refByName(id.slice(0, slash), id.slice(slash + 1)),
          (topicMethod << 2) | 2,
          topic,
          value,
        );
      } catch (error) {
        this.host.deadLetter(id, 'onTopic', [topic, value], String(error));
      }
    }
  }

  give(id: string, topics: readonly string[]): void {
    for (const topic of topics) this.table.subscribe(topic, id);
  }

  of(id: string): string[] {
    return this.table.topicsOf(id);
  }

  drop(id: string): void {
    this.table.drop(id);
  }
}
