// What waits in front of a frozen actor, taken out: it goes where the actor goes.

import type { Activation } from './activation.ts';
import type { FarMessage } from './far-moves.ts';
import { crowded } from './flags.ts';
import { Mailbox } from './mailbox.ts';

/** In the order in which it would have run: what was stashed has been waiting longest. */
export function drain(act: Activation): FarMessage[] {
  const messages: FarMessage[] = [];
  const take = (head: number, a0: unknown, a1: unknown, call: FarMessage['call']): void => {
    const code = head & 1_023;
    const opId = call?.extra?.opId;
    // It begins where it arrives, and its retries join it there: one name is one operation, so they are the same message.
    const retries = opId === undefined ? [] : (act.extras?.answered?.drop(opId) ?? []);
    for (const each of [call, ...retries]) {
      if (each !== null) each.act = null;
      messages.push({ code, a0, a1, call: each });
    }
  };
  const more = act.more();
  for (const { head, a0, a1, meta } of more.stash.splice(0)) take(head, a0, a1, meta);
  for (const { head, a0, a1, meta } of more.front.splice(0)) take(head, a0, a1, meta);
  if (act.box !== null) {
    act.box.drainTo((head, a0, a1, meta) => take(head, a0, a1, meta as FarMessage['call']));
    Mailbox.give(act.box);
    act.leaveBox();
  }
  for (const { message, admit } of more.waiters.splice(0)) {
    take(message.head, message.a0, message.a1, message.meta);
    admit();
  }
  // It may stay after all: nobody stands in front of it any more.
  act.flags &= ~crowded;
  return messages;
}
