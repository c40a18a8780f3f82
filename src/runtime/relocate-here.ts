// node.relocate() between the threads of one node: what is asked before, and what each outcome means to who asked.

import { TroupeError } from '../errors.ts';
import { hostOf } from './far-moves.ts';
import type { Refusal } from './far-units.ts';
import { parseNodeAddress } from './ids.ts';
import { type BaseRef, KEY, TYPE } from './refs.ts';
import type { Member } from './thread-host.ts';

export interface Relocation {
  readonly epoch: number;
  /** From the freeze to the verdict, on the source's clock. */
  readonly pausedMs: number;
  /** Messages that travelled with it, and that followed it. */
  readonly shipped: number;
  readonly forwarded: number;
}

export interface Here {
  readonly node: string;
  /** Host threads beside thread 0. */
  readonly threads: number;
  readonly member: Member | undefined;
  /** How often each thread has been restarted. */
  readonly lives: readonly number[];
  /** The epoch of the actor. */
  epoch(): Promise<number>;
}

export async function relocateHere(here: Here, ref: BaseRef, to: string): Promise<Relocation> {
  const unit = ref.toString();
  const thread = threadNamed(here, to);
  const { member, lives } = here;
  if (member === undefined || here.threads === 0)
    throw new TroupeError(
      'BAD_OPTION',
      `${unit} cannot move: node ${here.node} runs with threads: 0, there is only one place`,
    );
  const { router, overseer } = member;
  const owner = (): number => router.ownerOf(ref[TYPE], ref[KEY]);
  if (owner() >= router.threads)
    throw new TroupeError('BAD_OPTION', `${unit} lives on another node; only that node moves it, between its threads`);
  const reason = (await router.query(owner(), 'movable', unit)) as string | undefined;
  if (reason !== undefined) throw new TroupeError('BAD_OPTION', `${unit} cannot move: ${reason}`);
  router.shifts?.refuseMove(unit);
  // Asked its thread, which may have taken a while.
  if (router.gateway?.isAway(unit) === true)
    throw new TroupeError('OVERLOADED', `${unit} is just being moved to another node; try again later`);
  // Also of one that it knows on a thread that has died: whoever knows nothing of it goes by the table, and may have woken it there since.
  overseer?.heard(hostOf(0, 0), { type: 'resolve', unit });
  const outcome = await router.moves.propose(unit, hostOf(thread, lives[thread] as number));
  switch (outcome.result) {
    case 'moved':
      return {
        epoch: outcome.epoch,
        pausedMs: outcome.stats?.pausedMs ?? 0,
        shipped: outcome.stats?.shipped ?? 0,
        forwarded: outcome.stats?.forwarded ?? 0,
      };
    case 'refused':
      if (outcome.reason === 'same-host') return { epoch: await here.epoch(), pausedMs: 0, shipped: 0, forwarded: 0 };
      throw new TroupeError(
        'OVERLOADED',
        `${unit} was not moved to ${to}: ${outcome.reason}; nothing has changed, try again later`,
        { details: { reason: outcome.reason } },
      );
    case 'aborted': {
      const { reason } = outcome;
      const why = (await router.query(owner(), 'why-aborted', unit)) as Refusal | undefined;
      throw new TroupeError(
        // What cannot be encoded now will not be in a moment.
        reason === 'pack-failed' && why?.[0] === 'BAD_MESSAGE' ? 'BAD_MESSAGE' : 'DEADLINE',
        `the move of ${unit} to ${to} was called off (${reason}${why === undefined ? '' : `: ${why[1]}`}); it runs on where it was`,
        { details: { reason } },
      );
    }
  }
}

function threadNamed({ node: self, threads }: Here, to: string): number {
  const { node, thread } = parseNodeAddress(to);
  if (node !== self) throw new TroupeError('BAD_OPTION', `there is no node '${node}' here; this is '${self}'`);
  if (thread === undefined || thread > threads)
    throw new TroupeError(
      'BAD_OPTION',
      `name a thread of ${self} to move to, '${self}/0' to '${self}/${threads}', not '${to}'`,
    );
  return thread;
}
