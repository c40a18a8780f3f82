// A small shop, as a user of the test kit would write one: a cart that asks the orders, tells the audit, and waits.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import { type AnyRef, tell } from '../../../src/runtime/refs.ts';

export class Orders extends Actor<{ opened: number }> {
  override initial(): { opened: number } {
    return { opened: 0 };
  }
  open(items: readonly string[]): string {
    this.state.opened++;
    return `o-${this.state.opened}-${items.length}`;
  }
  close(_id: string): boolean {
    return true;
  }
  ping(): string {
    return 'pong';
  }
}
export const OrdersT: ActorType<Orders> = defineActor(import.meta.url, Orders, { type: 'orders' });

export class Audit extends Actor<{ lines: string[] }> {
  override initial(): { lines: string[] } {
    return { lines: [] };
  }
  log(line: string): void {
    this.state.lines.push(line);
  }
}
export const AuditT: ActorType<Audit> = defineActor(import.meta.url, Audit, { type: 'audit' });

export class Cart extends Actor<{ items: string[]; order?: string; timer?: number }> {
  override initial(): { items: string[] } {
    return { items: [] };
  }
  add(item: string): number {
    this.state.items.push(item);
    tell(this.self.ref(AuditT, 'all')).log(`add ${item}`);
    return this.state.items.length;
  }
  async checkout(): Promise<string> {
    this.state.order = await this.self.ref(OrdersT, 'eu').open(this.state.items);
    return this.state.order;
  }
  async pings(): Promise<string[]> {
    const orders = this.self.ref(OrdersT, 'eu');
    return Promise.all([orders.ping(), orders.ping()]);
  }
  async everything(other: AnyRef): Promise<void> {
    this.self.after(1_000, 'expire');
    this.self.watch(other, () => undefined);
    this.self.spawn(AuditT);
    this.self.publish('carts', this.self.key);
    await this.self.remind('later', 5_000);
    await this.save();
    this.self.stop();
  }
  expire(): void {
    this.state.items = [];
  }
}
export const CartT: ActorType<Cart> = defineActor(import.meta.url, Cart, { type: 'cart', persist: 'snapshot' });

/** Two that never come to rest. */
export class Ping extends Actor {
  go(): void {
    tell(this.self.ref(PingT, this.self.key === 'a' ? 'b' : 'a')).go();
  }
}
export const PingT: ActorType<Ping> = defineActor(import.meta.url, Ping, { type: 'ping' });

/** Fails by chance of the message, so that restarts are spread by the seed. */
export class Flaky extends Actor<{ n: number }> {
  override initial(): { n: number } {
    return { n: 0 };
  }
  work(n: number): number {
    if (n % 5 === 3) throw new Error(`work ${n}`);
    this.state.n += n;
    tell(this.self.ref(AuditT, 'all')).log(`${this.self.key} ${this.state.n}`);
    return this.state.n;
  }
}
export const FlakyT: ActorType<Flaky> = defineActor(import.meta.url, Flaky, {
  type: 'flaky',
  supervise: { onError: 'restart', max: 100, withinMs: 1_000, backoffMs: [100, 1_000] },
});
