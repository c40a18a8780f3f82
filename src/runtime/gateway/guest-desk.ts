// What nodes say to each other about guests: the words of homes.ts on the side of the node that gives an actor away or takes it in.
//
// A verdict may be lost with its link. Whoever waits for one asks now and then, and is told what the entry says.
// Only the home of an actor is listened to.

import { TroupeError } from '../../errors.ts';
import { verdictEveryMs } from '../../limits.ts';
import { ended } from '../call.ts';
import type { FarMessage } from '../far-moves.ts';
import type { FarRouter } from '../far-router.ts';
import { OutgoingAsk, OutgoingTell } from '../far-send.ts';
import { ringPartitionOf } from '../handoff/ring-partition.ts';
import { FAR } from '../refs.ts';
import type { Unit } from '../relocation-messages.ts';
import type { Stored } from '../reminder-names.ts';
import type { Gateway } from './gateway.ts';
import { sentBack } from './homes.ts';
import { here } from './node-table.ts';
import { textIn } from './words.ts';

export class GuestDesk {
  readonly #router: FarRouter;
  readonly #gateway: Gateway;

  constructor(router: FarRouter, gateway: Gateway) {
    this.#router = router;
    this.#gateway = gateway;
    const { guests, homes } = gateway;
    gateway.on('guest-pack', (from, asked) => this.#pack(from, this.#unitOf(from, asked)));
    gateway.on('guest-put', (from, put) => this.#put(from, this.#unitOf(from, put), put.bytes));
    gateway.on('guest-verdict', (from, told) => {
      const { hosted, key } = router.host.split(textIn(told?.unit));
      // Of a type that this node does not have there is nothing to decide: it was refused when it came. Of one whose partition has changed hands,
      // as this node knows already, the new home decides, and is asked.
      if (hosted !== undefined && gateway.isHome(from, hosted, key)) this.#onVerdict(told.unit, told.verdict);
    });
    gateway.on('guest-where', (_from, asked) => homes.where(textIn(asked?.unit)) ?? null);
    gateway.on('guest-recall', from => homes.recall(gateway.nameOf(from) ?? ''));
    router.host.reminders.whereabouts = stored => this.#livesHere(stored);
    gateway.on('guest-epoch', (_from, asked) => guests.epochOf(textIn(asked?.unit)));
  }

  /** Whose home has spoken. Throws BAD_MESSAGE when it was somebody else. */
  #unitOf(from: number, told: { unit?: unknown } | null | undefined): Unit {
    const unit = textIn(told?.unit);
    const { hosted, key } = this.#router.host.split(unit);
    if (hosted === undefined)
      throw new TroupeError('NO_ACTOR_TYPE', `node ${this.#router.host.node} cannot host ${unit}`);
    if (hosted.spec.placement === 'ring' && this.#gateway.isHome(from, hosted, key)) return unit;
    throw new TroupeError('BAD_MESSAGE', `node ${this.#gateway.nameOf(from)} is not the home of ${unit}`);
  }

  #livesHere({ type, key }: Stored): Promise<boolean> | undefined {
    const { homes, guests, nodes } = this.#gateway;
    const { host } = this.#router;
    const hosted = host.byName.get(type);
    const unit = `${type}/${key}`;
    const partition = ringPartitionOf(host, unit);
    if (this.#gateway.replicas !== null && partition !== undefined) return this.#isLed(partition);
    if (hosted === undefined || (hosted.live.has(key) && guests.waiting(unit) === undefined)) return undefined;
    const home = nodes.nodeOf(hosted.spec, key);
    if (home === here && !homes.has(unit)) return undefined;
    const where =
      home === here
        ? Promise.resolve(homes.where(unit) ?? null)
        : this.#gateway.asked(this.#gateway.numberOf(home), 'guest-where', { unit });
    return where.then(node => {
      if (node === null) throw new TroupeError('OVERLOADED', `${unit} is on the move`);
      return node === host.node;
    });
  }

  /** What lies here is a copy, and may be an old one, of what its owner has: who has just started knows no owner, or is not agreed to yet. */
  #isLed(partition: number): Promise<boolean> | undefined {
    const owner = this.#gateway.nodes.ownerOf(partition);
    if (owner !== undefined && owner !== this.#router.host.node) return Promise.resolve(false);
    if (this.#gateway.replicas?.leads(partition) === true) return undefined;
    return Promise.reject(new TroupeError('OVERLOADED', `partition ${partition} is not served yet`));
  }

  #pack(from: number, unit: Unit): Promise<Uint8Array> {
    const home = this.#gateway.nameOf(from) ?? '';
    const packed = this.#gateway.guests.pack(unit, home, message => this.#sendBack(from, unit, message));
    this.#awaitVerdict(unit, home);
    return packed;
  }

  #put(from: number, unit: Unit, bytes: unknown): Promise<number> {
    if (!(bytes instanceof Uint8Array)) throw new TroupeError('BAD_MESSAGE', 'a packed actor is bytes');
    const partition = ringPartitionOf(this.#router.host, unit);
    if (partition !== undefined && this.#gateway.handoffs.mayClear(partition))
      throw new TroupeError('OVERLOADED', `what partition ${partition} has left here is about to be cleared away`);
    const home = this.#gateway.nameOf(from) ?? '';
    const put = this.#gateway.guests.put(unit, bytes);
    this.#awaitVerdict(unit, home);
    return put;
  }

  /** What waited for a guest goes back to its home, before the answer that it is packed. */
  #sendBack(number: number, unit: Unit, message: FarMessage): void {
    const { code, a0, a1, call } = message;
    if (call?.state === ended) return;
    const router = this.#router;
    const ref = router.host.refById(unit);
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

  /** Asked of its home, which may be another than when the move began: its partition has changed hands. */
  async #whereIs(unit: Unit, home: string): Promise<unknown> {
    const { nodes, homes } = this.#gateway;
    const partition = ringPartitionOf(this.#router.host, unit);
    const now = (partition === undefined ? undefined : nodes.ownerOf(partition)) ?? home;
    if (now === this.#router.host.node) return homes.where(unit) ?? null;
    return this.#gateway.asked(this.#gateway.numberOfName(now), 'guest-where', { unit });
  }

  #onVerdict(unit: Unit, verdict: unknown): void {
    const { guests } = this.#gateway;
    if (verdict === 'run') guests.run(unit, true);
    else if (verdict === 'drop') guests.drop(unit);
    else if (verdict === 'thaw') guests.thaw(unit, true);
    else guests.cancel(unit);
  }

  /** The verdict may be lost with its link, or come while the step it ends is still under way: it is asked for until it is known. */
  #awaitVerdict(unit: Unit, home: string): void {
    const { guests } = this.#gateway;
    const waits = guests.waiting(unit);
    if (waits === undefined) return;
    const again = (): void => {
      if (guests.waiting(unit) === waits) this.#awaitVerdict(unit, home);
    };
    this.#gateway.timers.later(verdictEveryMs, () => {
      if (guests.waiting(unit) !== waits) return;
      this.#whereIs(unit, home).then(node => {
        // Null: the move goes on over there.
        if (node === null || guests.waiting(unit) !== waits) again();
        else guests.settle(unit, node === this.#router.host.node);
      }, again);
    });
  }
}
