// Variations of the shop: a cart that does everything at once, and an actor that never gets up.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import { Cart } from './shop.ts';

/** Stores when it says so. */
export const PatientCartT: ActorType<Cart> = defineActor(import.meta.url, Cart, {
  type: 'patient-cart',
  persist: 'snapshot',
  saves: 'explicit',
});

export class NeverUp extends Actor {
  override onActivate(): Promise<void> {
    return new Promise(() => undefined);
  }
  hello(): string {
    return 'hello';
  }
}
export const NeverUpT: ActorType<NeverUp> = defineActor(import.meta.url, NeverUp, { type: 'never-up' });
