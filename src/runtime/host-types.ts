// What a host is given and what it shows: the shapes around host.ts.

import type { Engine } from '../storage/engine.ts';
import type { Activation } from './activation.ts';
import type { Actor } from './actor.ts';
import type { Call } from './call.ts';
import type { ActorType } from './define-actor.ts';
import type { Host } from './host.ts';
import type { BaseRef } from './refs.ts';
import type { Router } from './router.ts';
import type { WheelEntry } from './timer-wheel.ts';
import type { Millis, World } from './world.ts';

/** What the rest of the node hears from a host. Names are those of node.on(). */
export interface HostEvents {
  emit(name: string, payload: unknown): void;
}

/** Hands out fencing epochs: rising, never twice, also not after a crash of the process. */
export interface EpochSource {
  next(): number;
  /** The next one will be above every epoch handed out to any thread so far. */
  renew(): void;
}

export interface HostOptions {
  readonly node: string;
  /** 0 is the caller's own thread. */
  readonly thread: number;
  readonly world: World;
  readonly router: (host: Host) => Router;
  readonly epochs: EpochSource;
  readonly events: HostEvents;
  readonly types: readonly ActorType[];
  readonly partitions: number;
  readonly engine: Engine;
  readonly residentsMax?: number | undefined;
  readonly observer?: HostObserver;
  /** Before each slice it is asked whether its actor may run: LeaseGuard. */
  readonly leased?: boolean;
}

/** What the test kit looks at and interferes with. Absent in production. */
export interface HostObserver {
  /** Replaces the arguments or result of a local message by what would have crossed a wire. */
  clone(value: unknown): unknown;
  effect(act: Activation, kind: string, detail: Record<string, unknown>): void;
  /** True when a probe has taken the message. */
  intercept(ref: BaseRef, call: Call | null, code: number, a0: unknown, a1: unknown): boolean;
  turnEnded(act: Activation): void;
}

/** Where a turn's continuation finds its way back to the turn: carried by the async context. */
export interface TurnToken {
  readonly host: Host;
  readonly act: Activation;
  readonly call: Call | null;
  readonly actor: Actor | null;
  /** How it goes together with other turns of its actor: turn-modes.ts. */
  readonly mode: number;
  /** It serves a message, which stash() may set aside. */
  readonly hasMessage: boolean;
  /** stash() was called in it. */
  stashed: boolean;
  /** False once the turn has ended: what still runs was not awaited, and nobody waits for it. */
  open: boolean;
}

/** A timer of the runtime itself. */
export interface HostTimer extends WheelEntry {
  fire(now: Millis): void;
  /** It only looks around: firing it sets nothing in motion by itself. */
  readonly quiet?: boolean;
}
