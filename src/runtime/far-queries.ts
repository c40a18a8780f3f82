// Control messages that want an answer, between the threads of one node: describe, locate, drain. Few, never on a hot path.
//
// Invariants: each query ends once: with its answer, with the death of the thread that was asked, or with the node; what it asks for begins
// where it stands among all that came by its link, before what was sent behind it is read.

import { fromWireError, TroupeError, toWireError, type WireError } from '../errors.ts';
import type { FarRouter } from './far-router.ts';

export class FarQueries {
  private readonly router: FarRouter;
  private count = 0;
  private stopped = false;
  private readonly asked = new Map<
    number,
    { peer: number; done: (value: unknown) => void; failed: (error: unknown) => void }
  >();

  constructor(router: FarRouter) {
    this.router = router;
    router.on('query', (from, { id, name, payload }) => {
      const handler = router.handlerOf(name);
      this.answer(from, id, name, handler === undefined ? undefined : () => handler(from, payload));
    });
    router.on('reply', (_from, { id, value, error }) => this.onReply(id, value, error));
  }

  /** A control message that wants an answer. Rejects when the peer is dead or dies; the caller bounds the wait. */
  ask(thread: number, name: string, payload: unknown): Promise<any> {
    return new Promise((done, failed) => {
      if (this.stopped) {
        failed(new TroupeError('STOPPED', `node ${this.router.host.node} has stopped`));
        return;
      }
      const peer = this.router.peers[thread];
      if (peer?.gone === true) {
        failed(new TroupeError('OVERLOADED', `${peer.goneWhy}; '${name}' was not asked`));
        return;
      }
      const id = ++this.count;
      this.asked.set(id, { peer: thread, done, failed });
      this.router.control(thread, 'query', { id, name, payload });
    });
  }

  /** `run`: undefined when nobody here knows what is asked. */
  answer(from: number, id: number, name: string, run: (() => unknown) | undefined): void {
    const answer = (reply: object): void => this.router.control(from, 'reply', { id, ...reply });
    const begin = async (): Promise<unknown> => {
      if (run === undefined) throw new TroupeError('BAD_MESSAGE', `unknown query '${name}'`);
      return run();
    };
    begin().then(
      value => answer({ value }),
      error => answer({ error: toWireError(error) }),
    );
  }

  onReply(id: number, value: unknown, error: WireError | undefined): void {
    const asked = this.asked.get(id);
    if (asked === undefined) return;
    this.asked.delete(id);
    if (error === undefined) asked.done(value);
    else asked.failed(fromWireError(error));
  }

  /** Nobody will answer any more. */
  stop(): void {
    this.stopped = true;
    for (const { failed } of this.asked.values())
      failed(new TroupeError('STOPPED', `node ${this.router.host.node} stopped before there was an answer`));
    this.asked.clear();
  }

  peerDied(thread: number): void {
    for (const [id, asked] of this.asked) {
      if (asked.peer !== thread) continue;
      this.asked.delete(id);
      const who = this.router.peers[thread]?.label ?? `thread ${thread}`;
      asked.failed(new TroupeError('UNKNOWN_OUTCOME', `${who} was lost before it answered`));
    }
  }
}
