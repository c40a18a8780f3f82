// Where actors live and how to reach them: the one thing that differs between a host that is alone and one of many. The
// host asks owns(); what it does not own it hands over here.

import type { Activation } from './activation.ts';
import type { Asker, Call } from './call.ts';
import type { FarMessage } from './far-moves.ts';
import type { Host } from './host.ts';
import type { HostedType } from './hosted-type.ts';
import type { BaseRef } from './refs.ts';

export interface Router {
  /** May this host activate that actor now? */
  owns(hosted: HostedType, key: string): boolean;
  /** Hot path: was this ref's actor on another thread when it was last looked up, and has nothing moved since? */
  isFar(ref: BaseRef): boolean;
  /** What a peer is called in what is said to people: 'thread 2', 'node n2'. */
  nameOf(peer: number): string;
  /** The thread that owns it; of one that lives on another node, the number of that. */
  ownerOf(hosted: HostedType, key: string): number;
  /** The same among the threads of this node: the one that speaks for it stands for the other nodes. */
  threadOf(hosted: HostedType, key: string): number;
  tell(ref: BaseRef, code: number, a0: unknown, a1: unknown): Promise<void> | undefined;
  ask(ref: BaseRef, call: Call, code: number, a0: unknown, a1: unknown): void;
  /** What waited in front of an actor that has just fallen asleep. True: it goes before what is held back, and has been taken. */
  goesBack(ref: BaseRef, message: FarMessage): boolean;
  /** Outcomes of calls that arrived from another thread. */
  answer(call: Asker, value: unknown): void;
  refuse(call: Asker, error: unknown): void;
  /** An arrived call has outlived its deadline inside its turn: its asker need not wait any longer. */
  started(call: Call): void;
  /** A call is given up: was it sent at all? If so, the receiver says whether its turn ever began. */
  verdict(call: Call, aborted: boolean): void;
  /** A control message to every other host. */
  broadcast(name: string, payload: unknown): void;
  /** A control message to one host. */
  control(thread: number, name: string, payload: unknown): void;
  /** A call sent away has ended on this side: its answer, if one still comes, finds nobody. */
  forget(call: Call): void;
  /** The mailbox of an actor that made other threads pause has room again. */
  drained(act: Activation): void;
  /** An actor has woken here, or has come from elsewhere. */
  woke(act: Activation): void;
  /** An actor here has ended for good or gone to sleep. */
  ended(act: Activation): void;
}

/** A host that is alone: everything lives here. */
export class LocalRouter implements Router {
  private readonly host: Host;

  constructor(host: Host) {
    this.host = host;
  }

  owns(): boolean {
    return true;
  }

  isFar(): boolean {
    return false;
  }

  ownerOf(): number {
    return this.host.thread;
  }

  nameOf(peer: number): string {
    return `thread ${peer}`;
  }

  woke(): void {
    // Nobody wants to know.
  }

  threadOf(): number {
    return this.host.thread;
  }

  tell(): never {
    throw alone();
  }

  ask(): never {
    throw alone();
  }

  goesBack(): boolean {
    return false;
  }

  answer(): void {
    throw alone();
  }

  refuse(): void {
    throw alone();
  }

  started(): void {
    throw alone();
  }

  verdict(): void {
    throw alone();
  }

  broadcast(): void {
    // Nobody else to tell.
  }

  control(): void {
    // Nobody else to tell.
  }

  forget(): void {
    // Nothing was sent away.
  }

  drained(): void {
    // Nobody was asked to pause.
  }

  ended(): void {
    // Nobody keeps routes to it.
  }
}

function alone(): Error {
  return new Error('a host that is alone was asked to reach another one');
}
