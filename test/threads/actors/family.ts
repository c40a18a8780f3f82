// Actors that spawn, watch, publish and listen. A file of its own: threads import it by URL.

import { Actor, type ActorType, type AnyRef, type Departure, defineActor, type Ref } from '../../../src/index.ts';

export class Child extends Actor<{ name: string; calls: number }> {
  override initial(name?: unknown): { name: string; calls: number } {
    return { name: String(name), calls: 0 };
  }
  hello(): string {
    this.state.calls++;
    return `${this.state.name} ${this.state.calls}`;
  }
  end(): void {
    this.self.stop();
  }
  fail(): never {
    throw new Error('on purpose');
  }
}

export class Parent extends Actor<{ departures: Departure[]; heard: [string, unknown][]; children: AnyRef[] }> {
  override initial(): { departures: Departure[]; heard: [string, unknown][]; children: AnyRef[] } {
    return { departures: [], heard: [], children: [] };
  }
  spawn(name: string): AnyRef {
    const child = this.self.spawn(ChildT, name);
    this.state.children.push(child);
    return child;
  }
  watch(ref: AnyRef): void {
    this.self.watch(ref, departure => {
      this.state.departures.push(departure);
    });
  }
  departures(): Departure[] {
    return this.state.departures;
  }
  async greet(child: Ref<Child>): Promise<string> {
    return child.hello();
  }
  say(topic: string, value: unknown): void {
    this.self.publish(topic, value);
  }
  listen(topic: string): void {
    this.self.subscribe(topic);
  }
  hush(topic: string): void {
    this.self.unsubscribe(topic);
  }
  override onTopic(topic: string, value: unknown): void {
    this.state.heard.push([topic, value]);
  }
  heard(): [string, unknown][] {
    return this.state.heard;
  }
  end(): void {
    this.self.stop();
  }
}

export const ChildT: ActorType<Child> = defineActor(import.meta.url, Child, {
  type: 'child',
  supervise: { onError: 'stop' },
});
const pinned = (thread: number): ActorType<Parent> =>
  defineActor(import.meta.url, Parent, { type: `parent-${thread}`, placement: 'pinned', thread });
export const Parent0T: ActorType<Parent> = pinned(0);
export const Parent1T: ActorType<Parent> = pinned(1);
export const Parent2T: ActorType<Parent> = pinned(2);
/** Lives where its key says, and may move. */
export const RoamerT: ActorType<Parent> = defineActor(import.meta.url, Parent, { type: 'roamer' });
export const familyTypes: readonly ActorType[] = [ChildT, Parent0T, Parent1T, Parent2T, RoamerT] as ActorType[];
