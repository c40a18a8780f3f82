// What nodes say to each other about guests: the words of homes.ts on the side of the node that gives an actor away or takes it in.
//
// A verdict may be lost with its link. Whoever waits for one asks when the link is there again, and is told what the entry says.

import { TroupeError } from '../../errors.ts';
import { verdictEveryMs } from '../../limits.ts';
import { ended } from '../call.ts';
import type { FarMessage } from '../far-moves.ts';
import type { FarRouter } from '../far-router.ts';
import { OutgoingAsk, OutgoingTell } from '../far-send.ts';
import { FAR } from '../refs.ts';
import type { Gateway } from './gateway.ts';
import { sentBack } from './homes.ts';
import { textIn } from './words.ts';

export class GuestDesk {
  readonly #router: FarRouter;
  readonly #gateway: Gateway;

  constructor(router: FarRouter, gateway: Gateway) {
    this.#router = router;
    this.#gateway = gateway;
    const { guests, homes } = gateway;
    gateway.on('guest-pack', (from, asked) => this.#pack(from, textIn(asked?.unit)));
    gateway.on('guest-put', (from, put) => {
      if (!(put?.bytes instanceof Uint8Array)) throw new TroupeError('BAD_MESSAGE', 'a packed actor is bytes');
      return guests.put(textIn(put.unit), gateway.nameOf(from) ?? '', put.bytes);
    });
    gateway.on('guest-verdict', (_from, told) => this.#onVerdict(textIn(told?.unit), told.verdict));
    gateway.on('guest-where', (_from, asked) => homes.where(textIn(asked?.unit)) ?? null);
    gateway.on('guest-epoch', (_from, asked) => guests.epochOf(textIn(asked?.unit)));
  }

  #pack(from: number, unit: string): Promise<Uint8Array> {
    const home = this.#gateway.nameOf(from) ?? '';
    return this.#gateway.guests.pack(unit, home, message => this.#sendBack(from, unit, message));
  }

  /** What waited for a guest goes back to its home, before the answer that it is packed. */
  #sendBack(number: number, unit: string, message: FarMessage): void {
    const { code, a0, a1, call } = message;
    if (call?.state === ended) return;
    const router = this.#router;
    const slash = unit.indexOf('/');
    const ref = router.host.refByName(unit.slice(0, slash), unit.slice(slash + 1));
    ref[FAR] = { thread: number, version: router.version, slot: -1, epoch: sentBack };
    const why = new TroupeError('OVERLOADED', `the link to the home of ${unit} has no room`);
    const peer = router.peers[number];
    if (peer === undefined || (call !== null && !router.pending.add(call))) {
      this.#gateway.homes.refuse(unit, message, why);
      return;
    }
    // Nothing waits for room in a mailbox: there it is held, and what came after it must not pass it.
    if (call !== null) call.peer = number;
    const outgoing =
      call === null
        ? new OutgoingTell(router, number, ref, code, a0, a1)
        : new OutgoingAsk(router, number, ref, call, code, a0, a1);
    if ((peer.ready && outgoing.write()) || peer.queue(outgoing)) return;
    this.#gateway.homes.refuse(unit, message, why);
  }

  #onVerdict(unit: string, verdict: unknown): void {
    const { guests } = this.#gateway;
    if (verdict === 'run') guests.run(unit, true);
    else if (verdict === 'drop') guests.drop(unit);
    else if (verdict === 'thaw') guests.thaw(unit, true);
    else guests.cancel(unit);
  }

  /** A link to that home is there again. */
  askVerdicts(number: number, home: string): void {
    for (const unit of this.#gateway.guests.waitingFor(home)) this.#askVerdict(number, home, unit);
  }

  #askVerdict(number: number, home: string, unit: string): void {
    const { guests } = this.#gateway;
    const { host } = this.#router;
    if (!guests.waitingFor(home).includes(unit)) return;
    this.#gateway.asked(number, 'guest-where', { unit }).then(
      node => {
        if (node !== null) guests.settle(unit, node === host.node);
        // The move goes on over there; its verdict may come by itself.
        else host.world.clock.timer(verdictEveryMs, () => this.#askVerdict(number, home, unit));
      },
      // The link has ended again: with the next one it is asked again.
      () => undefined,
    );
  }
}
