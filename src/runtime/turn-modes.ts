// How a method's turns go together with others of the same actor, as small numbers for the hot path.
//
//                 exclusive   read   interleave   hook       may run beside (row, column)
//   exclusive         -         -        x          -
//   read              -         x        x          -
//   interleave        x         x        x          -
//   hook              -         -        -          -        onActivate, onDeactivate: nothing else starts

export const exclusiveMode = 0;
export const readMode = 1;
export const interleaveMode = 2;
export const hookMode = 3;

/** True when a message of this mode must wait for an open turn of that mode. */
export function conflict(message: number, turn: number): boolean {
  if (turn === hookMode || message === hookMode) return true;
  if (turn === interleaveMode || message === interleaveMode) return false;
  return message === exclusiveMode || turn === exclusiveMode;
}
