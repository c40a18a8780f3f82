// The bits of an activation's `flags`. `blocked` is what the scheduler tests: while any of these is set, user messages
// wait in the mailbox.
//
//      starting ──ok──▶ (0) ◀──────── turn ends ── busy
//         │              │ ▲ ── exclusive async turn ─▶
//         └─failed─▶ dead│ └─ thaw ── frozen ── moved ──▶ dead
//                        └─ handler failed ─▶ backoff ─▶ starting

/** onActivate() has not finished, or the state is still being read. */
export const starting = 1;
/** An exclusive turn is open: its promise has not settled. */
export const busy = 2;
/** Being moved: the mailbox takes messages but runs none. */
export const frozen = 4;
/** Failed, waiting to be restarted. */
export const backoff = 8;
/** Gone. Refs look the actor up anew. */
export const dead = 16;
/** In the run queue. */
export const queued = 32;
/** stop() was called: ends after the running turn. */
export const stopping = 64;
/** A turn has called stash(); which one, its token knows. */
export const stashing = 128;
/** Gate closed or saves pending: outputs take the slow road. */
export const gated = 256;
/** An exclusive turn is open in an actor that also has overlapping methods: those may still start. */
export const exclusive = 512;
/** A move waits for this actor to come to rest: control work goes on, user messages do not start. */
export const freezing = 1024;
/** Its unit is in motion here (relocation-route.ts): messages go through the route, which keeps their order. */
export const moving = 2048;
/** Senders wait for a slot of its mailbox: a newcomer stands behind them, even if its own message would fit. */
export const crowded = 4096;
/** It is dead because it failed. */
export const failed = 8192;
/** Messages were put back in front: the slice that runs must not go on with those behind. */
export const fronted = 16384;
/** It has extras (activation.ts): its slices go the long way. */
export const furnished = 32768;
/** The bits from here up are its standing among the residents: passivation.ts. */
export const standingShift = 16;

export const blocked: number = starting | busy | frozen | backoff | dead;
