// compactor/node: the door to what goes on behind the writers of this node's disk: which segments wait, which runs there are, what
// the merge under way has done, and to stop and start it. The work is the engine's (storage/upkeep-store.ts); nothing of it is here.
//
// It lives on thread 0, where the upkeep is. With an engine that has nothing to keep up it says so, and does nothing.
//
// Invariant: no state of its own; a refusal is data, so that it does not restart the actor.

import { isTroupeError, TroupeError } from '../errors.ts';
import { mergeBytesPerSecondMin } from '../limits.ts';
import type { Activation } from '../runtime/activation.ts';
import { Actor } from '../runtime/actor.ts';
import { type ActorType, defineActor } from '../runtime/define-actor.ts';
import { show } from '../runtime/show.ts';
import type { EngineUpkeep, UpkeepStatus } from '../storage/upkeep.ts';
import { nothingToKeepUp } from './compactor.ts';
import { type Answer, refusal } from './vnode-messages.ts';

export class Compactor extends Actor<null> {
  override initial(): null {
    return null;
  }

  status(): UpkeepStatus {
    return upkeepOf(this)?.status() ?? nothingToKeepUp;
  }

  pause(): void {
    upkeepOf(this)?.pause();
  }

  resume(): void {
    upkeepOf(this)?.resume();
  }

  /** Null when all is done. */
  async run(all: boolean): Promise<Answer<null>> {
    try {
      await upkeepOf(this)?.run({ all });
      return null;
    } catch (error) {
      if (isTroupeError(error)) return refusal(error);
      throw error;
    }
  }

  /** Null: as many as it can. */
  setBudget(bytesPerSecond: number | null): Answer<null> {
    const bytes = bytesPerSecond === null ? Number.POSITIVE_INFINITY : bytesPerSecond;
    if (typeof bytes !== 'number' || !(bytes >= mergeBytesPerSecondMin)) return refusal(tooSmall(bytesPerSecond));
    upkeepOf(this)?.setBytesPerSecond(bytes);
    return null;
  }
}

/** `self` is the activation; it knows the host, and the host the engine of its thread. */
function upkeepOf(compactor: Compactor): EngineUpkeep | undefined {
  return (compactor.self as Activation).hosted.host.engine.upkeep;
}

function tooSmall(got: unknown): TroupeError {
  const message = `bytesPerSecond must be null or a number from ${mergeBytesPerSecondMin}, not ${show(got)}`;
  return new TroupeError('BAD_OPTION', message, { details: { option: 'bytesPerSecond' } });
}

export const CompactorT: ActorType<Compactor> = defineActor(import.meta.url, Compactor, {
  type: 'compactor',
  persist: 'none',
  placement: 'pinned',
  thread: 0,
  // run() may take hours, and the others must not wait for it.
  turns: {
    status: 'interleave',
    pause: 'interleave',
    resume: 'interleave',
    run: 'interleave',
    setBudget: 'interleave',
  },
});
