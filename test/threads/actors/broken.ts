// A module that cannot be imported on a thread, although the calling thread can.

import { isMainThread } from 'node:worker_threads';
import { Actor, type ActorType, defineActor } from '../../../src/index.ts';

export class Broken extends Actor<null> {
  override initial(): null {
    return null;
  }
}

if (!isMainThread) throw new Error('no good on a thread');

export const BrokenT: ActorType<Broken> = defineActor(import.meta.url, Broken, { type: 'broken' });
