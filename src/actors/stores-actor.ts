// stores/all: which stores there are and with which options. It is asked once, when a node opens a store; from then on the
// options travel with the requests.
//
// Invariant: the first to open a name decides its options for ever; a store is announced only after it is stored.

import { TroupeError } from '../errors.ts';
import { Actor } from '../runtime/actor.ts';
import { type ActorType, defineActor } from '../runtime/define-actor.ts';
import {
  checkStoreName,
  conflict,
  conflictError,
  readStoreOptions,
  type StoreOptions,
  type StoreOptionsInput,
} from './store-options.ts';
import { type Answer, refusal } from './vnode-messages.ts';

export interface StoresState {
  readonly stores: [name: string, options: StoreOptions][];
}

export class Stores extends Actor<StoresState> {
  override initial(): StoresState {
    return { stores: [] };
  }

  /** The options of a store, which is made if it is not there. A refusal is data, so that it does not restart the actor. */
  open(name: string, given: StoreOptionsInput, members: number): Answer<StoreOptions> {
    try {
      checkStoreName(name);
      const known = this.state.stores.find(([existing]) => existing === name)?.[1];
      if (known === undefined) return this.#make(name, readStoreOptions(given, members));
      const found = conflict(known, given);
      return found === undefined ? known : refusal(conflictError(name, found));
    } catch (error) {
      if (error instanceof TroupeError) return refusal(error);
      throw error;
    }
  }

  list(): [name: string, options: StoreOptions][] {
    return this.state.stores;
  }

  #make(name: string, options: StoreOptions): StoreOptions {
    this.state.stores.push([name, options]);
    return options;
  }
}

/** The one key of this type. */
export const storesKey = 'all';

export const StoresT: ActorType<Stores> = defineActor(import.meta.url, Stores, {
  type: 'stores',
  version: 1,
  persist: 'snapshot',
  durability: 'flushed',
  placement: 'ring',
  turns: { list: 'read' },
});
