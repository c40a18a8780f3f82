// A deadline on its way between threads of one process. Pure.
//
// Where a frame has room for the time that is left, frames between threads carry the moment at which it ends, on a clock they
// share, so that the time a frame spends in a full ring counts. Told as time left, a message that waited longer in the ring
// than its asker had patience was still run: all work, and nobody to hear the answer.
//
// Moments are ticks of a sixteenth of a ms, modulo 2^32: they begin anew every three days, and the difference of two of them,
// as a signed number of 32 bits, is right whatever has begun anew in between.

const ticksPerMs = 16;
const ticks: number = 2 ** 32;
/** Longer than this nobody waits for a ring: the asker's own clock will do. */
const farOffMs: number = ticks / ticksPerMs / 4;

/** The moment so many ms from now, as a number of ms that a frame's header takes. */
export function momentIn(now: number, remainingMs: number): number {
  if (remainingMs > farOffMs) return Number.POSITIVE_INFINITY;
  return (Math.ceil((now + remainingMs) * ticksPerMs) % ticks) / ticksPerMs;
}

/** The time until then; 0 or less: it has passed. */
export function leftUntil(now: number, moment: number): number {
  if (moment === Number.POSITIVE_INFINITY) return moment;
  return ((moment * ticksPerMs - Math.floor(now * ticksPerMs)) | 0) / ticksPerMs;
}
