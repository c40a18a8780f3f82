// A module that defines its type on the calling thread only.

import { isMainThread } from 'node:worker_threads';
import { Actor, type ActorType, defineActor } from '../../../src/index.ts';

export class Elsewhere extends Actor<null> {
  override initial(): null {
    return null;
  }
}

export const ElsewhereT: ActorType<Elsewhere> | undefined = isMainThread
  ? defineActor(import.meta.url, Elsewhere, { type: 'elsewhere' })
  : undefined;
