// What a router does when another thread dies: ends what can no longer be answered, and sends again what had not left.
//
// Invariant: an ask to an actor that lived there ends UNKNOWN_OUTCOME, once; a message that was never written to the dead
// thread's ring is not lost, it goes to whoever owns its actor now.

import { TroupeError } from '../errors.ts';
import type { Call } from './call.ts';
import type { Outgoing } from './far-peer.ts';
import type { FarRouter } from './far-router.ts';
import { ringPartition } from './handoff/ring-partition.ts';
import type { PartitionTable } from './placement.ts';

export class FarDeaths {
  private readonly router: FarRouter;
  /** How many other threads have died in this life. */
  count = 0;
  /** Messages that had not left for a thread when it died, to actors of which the directory has still to speak. */
  private unsent: Outgoing[] = [];
  /** Partitions that are ours since. */
  private taken: number[] = [];

  constructor(router: FarRouter) {
    this.router = router;
  }

  /** Ends what can no longer be answered, and sends again what had not left. `table` is that of version `version`. */
  peerDied(thread: number, table: PartitionTable, version: number): void {
    const { router } = this;
    const { host, peers } = router;
    this.count++;
    // What wakes here now must have a higher epoch than it had there.
    host.epochs.renew();
    router.gateway?.replicas?.threadDied();
    // And it must be read as that thread has left it.
    host.engine.refresh();
    const lost: Call[] = [];
    for (const call of this.router.pending.all()) if (this.isLost(call, thread)) lost.push(call);
    // Those on other nodes who watch what lived there are told, too.
    if (router.gateway !== null) router.gateway.watches.lost(thread);
    else host.watches.threadLost(id => this.livedOn(id, thread), thread);
    for (const call of lost) this.loseCall(call, thread);
    this.router.queries.peerDied(thread);
    const unsent = peers[thread]?.die() ?? [];
    this.router.arrivals.forget(thread);
    for (const [partition, owner] of table.entries())
      if (owner === host.thread && router.places.table[partition] !== owner) this.taken.push(partition);
    this.router.places.table = table;
    this.router.tableVersion = version;
    this.router.version++;
    this.router.broadcast('table', version);
    host.outside(() => {
      for (const message of unsent) {
        if (this.router.moves.knows(message.to)) this.unsent.push(message);
        else message.again(true);
      }
      this.router.arrivals.tableChanged();
    });
  }

  /** How things stand, for a thread that has just come up. */
  welcome(table: PartitionTable, version: number, gone: readonly number[]): void {
    this.router.places.table = table;
    this.router.tableVersion = version;
    this.router.version++;
    for (const peer of this.router.peers) {
      if (peer === undefined) continue;
      if (!gone.includes(peer.thread)) peer.revive();
      else if (!peer.gone) for (const message of peer.die()) message.again(true);
    }
  }

  private isLost(call: Call, thread: number): boolean {
    const { router } = this;
    // Of what another node has, that one says what became of it, wherever its actor is by now.
    if (call.to === null || call.peer >= router.threads || !router.pending.wasSent(call)) return false;
    const now = router.threadFor(call.to);
    // One of a slot that has left that thread since: it may have been there still. So may one of a partition that has just left this node.
    const hasMoved = now < router.threads && router.moves.knows(call.to.toString());
    return now === thread || (call.peer === thread && !hasMoved);
  }

  /** A slot lives on another thread from now on. */
  slotMoved(slot: number, thread: number, version: number): void {
    const { router } = this;
    const table = router.places.table.slice();
    table[slot] = thread;
    router.places.table = table;
    router.tableVersion = version;
    router.version++;
    router.broadcast('table', version);
    router.host.outside(() => router.arrivals.tableChanged());
  }

  /** Is that where messages to it go? */
  livedOn(id: string, thread: number): boolean {
    const { hosted, key } = this.router.host.split(id);
    return hosted !== undefined && this.router.where(hosted, key) === thread;
  }

  /** The directory's word about a death has been read: the units of that thread are placed anew from now on. */
  settle(): void {
    const { host, moves } = this.router;
    const { table } = this.router.places;
    for (const message of this.unsent.splice(0)) host.outside(() => message.again(true));
    // Reminders of what has moved may have been armed there, whatever their partition.
    const taken = new Set(this.taken.splice(0));
    const ours = [...table.keys()].filter(each => table[each] === host.thread && (moves.any || taken.has(each)));
    if (host.engine.shared) this.loadReminders(ours);
  }

  /**
   * A thread has come up: the reminders of actors that are pinned to it are read by those who own their partitions; and it hears of whoever has
   * begun to watch one of its actors while nobody was there.
   */
  joined(thread: number): void {
    const { host, gateway } = this.router;
    for (const id of host.watches.watched())
      if (this.livedOn(id, thread)) this.router.control(thread, 'watch', { id, thread: host.thread });
    gateway?.watches.joined(thread);
    const { table } = this.router.places;
    const isPinned = host.types.some(({ spec }) => spec.placement === 'pinned' && spec.thread >= thread);
    if (host.engine.shared && isPinned)
      this.loadReminders([...table.keys()].filter(each => table[each] === host.thread));
  }

  /**
   * As the thread that has died had them. What is stored here of a partition of another node is none of a host thread's: of one that is just coming,
   * or of one that has gone; those of guests are armed on the thread that speaks for the node. Of one that is frozen none comes: they are armed
   * if it stays, and where their actors live by then (those that have come back from other nodes do not live by the table).
   */
  loadReminders(partitions: Iterable<number>): void {
    const { host, places } = this.router;
    host.reminders.load(partitions, unit => {
      const { hosted, key } = host.split(unit);
      if (hosted === undefined || !places.isOurs(hosted, key)) return false;
      const partition = ringPartition(hosted, key);
      return partition === undefined || this.router.held.get(partition)?.stage !== 'frozen';
    });
  }

  private loseCall(call: Call, thread: number): void {
    const to = call.to?.toString() ?? 'the actor';
    this.router.pending.drop(call);
    this.router.host.fail(
      call,
      new TroupeError('UNKNOWN_OUTCOME', `${to} was on thread ${thread}, which died; the message may have run`, {
        details: { thread },
      }),
    );
  }
}
