// Thread 0's second job: the directory of moves, and what follows when a thread dies. One overseer a process; it decides,
// in one order, and every host hears its decisions in that order because each link is FIFO.
//
//   thread dies ─▶ all hosts: peer-died (fresh table) ─▶ directory: died ─▶ rings replaced ─▶ new life: welcome, and where
//   everything is that ever moved ─▶ all others: peer-joined
//
// Invariant: a host never learns of a later decision before an earlier one; thread 0's own host hears them through the
// same queue.

import { Directory } from './directory.ts';
import { Wake } from './failures.ts';
import { hostOf, threadOf } from './far-moves.ts';
import type { FarRouter } from './far-router.ts';
import type { Host } from './host.ts';
import { homeOf, type PartitionTable, without } from './placement.ts';
import type {
  DirectoryEffect,
  DirectoryInput,
  FromDirectory,
  HostId,
  ToDirectory,
  Unit,
} from './relocation-messages.ts';
import { nowhere } from './relocation-messages.ts';

export class Overseer {
  private readonly host: Host;
  private readonly router: FarRouter;
  private readonly directory: Directory;
  private readonly live = new Set<number>();
  private early: { readonly from: HostId; readonly message: ToDirectory }[] = [];
  private readonly inputs: DirectoryInput[] = [];
  private stepping = false;
  private tick: Wake | null = null;
  private tickAt = Number.POSITIVE_INFINITY;

  constructor(router: FarRouter, threads: number, relocateTurnMs?: number) {
    this.router = router;
    this.host = router.host;
    for (let thread = 0; thread < threads; thread++) this.live.add(thread);
    this.directory = new Directory({
      hosts: [...this.live].map(thread => hostOf(thread, 0)),
      place: (unit, live) => this.placeOf(unit, live),
      ...(relocateTurnMs === undefined ? {} : { limits: { turnMs: relocateTurnMs } }),
    });
  }

  private placeOf(unit: Unit, live: readonly HostId[]): HostId {
    const { hosted, key } = this.host.split(unit);
    const home = hosted === undefined ? 0 : homeOf(hosted.spec, key, this.router.places.table, 0, this.router.threads);
    const host = live.find(each => threadOf(each) === home) ?? live.find(each => threadOf(each) !== this.host.thread);
    return host ?? nowhere;
  }

  /** Its thread is dead and no other host thread lives: whoever asks for it waits for the next life of one. */
  private isHomeless(unit: Unit): boolean {
    const owner = this.directory.ownerOf(unit)?.host;
    const live = [...this.live].map(thread => this.lifeOf(thread));
    return (owner === undefined || !live.includes(owner)) && this.placeOf(unit, live) === nowhere;
  }

  private lifeOf(thread: number): HostId {
    return hostOf(thread, this.router.moves.lives[thread] ?? 0);
  }

  /** A slot of the table goes to another thread: this is the moment. Everybody hears it behind all that was said before. */
  moveSlot(slot: number, thread: number): void {
    const version = this.router.tableVersion + 1;
    for (const other of this.live)
      if (other !== this.host.thread) this.router.control(other, 'slot-table', { slot, thread, version });
    this.router.deaths.slotMoved(slot, thread, version);
  }

  /** One of those that is just being moved by itself. */
  inMotion(which: (unit: Unit) => boolean): Unit | undefined {
    return this.directory.describe().motion.find(({ unit }) => which(unit))?.unit;
  }

  /**
   * Everybody knows of those that they live where the directory says, and not by the table. Of one whose thread has died not all have heard that
   * it was ever moved: to these it lives by the table. So it is placed there, before that changes.
   */
  tellOwners(which: (unit: Unit) => boolean): void {
    for (const { unit } of [...this.directory.owners(false)]) if (which(unit)) this.place(unit);
    for (const { unit, host, epoch } of this.directory.owners())
      if (which(unit))
        for (const thread of this.live) this.post(this.lifeOf(thread), { type: 'located', unit, host, epoch });
  }

  /** Where an actor lives that has been moved once: if its host has died since, by the table, which everybody hears. Undefined: no thread lives. */
  place(unit: Unit): number | undefined {
    this.heard(hostOf(0, 0), { type: 'resolve', unit });
    const host = this.directory.ownerOf(unit)?.host;
    return host === undefined || !this.isLive(threadOf(host)) ? undefined : threadOf(host);
  }

  isLive(thread: number): boolean {
    return this.live.has(thread);
  }

  /** A message for the directory. */
  heard(from: HostId, message: ToDirectory): void {
    if (message.type === 'resolve' && this.isHomeless(message.unit)) this.early.push({ from, message });
    else this.step({ type: 'heard', from, message });
  }

  /** What one decision leads to is told before the next one is taken: a host of our own answers at once. */
  private step(input: DirectoryInput): void {
    this.inputs.push(input);
    if (this.stepping) return;
    this.stepping = true;
    try {
      for (let next = this.inputs.shift(); next !== undefined; next = this.inputs.shift()) {
        const effects = this.directory.step(next, this.host.now(), this.freshEpoch(next));
        for (const effect of effects) this.perform(effect);
      }
    } finally {
      this.stepping = false;
    }
    this.armTick();
  }

  /**
   * Above every epoch any thread has used by now: a unit's new epoch must exceed that of its activation, wherever that is. One
   * that was drawn for an earlier step and kept would not.
   */
  private freshEpoch(input: DirectoryInput): number {
    if (input.type === 'heard' && (input.message.type === 'reserved' || input.message.type === 'installed')) return 0;
    this.host.epochs.renew();
    return this.host.epochs.next();
  }

  private perform(effect: DirectoryEffect): void {
    if (effect.type === 'send') {
      this.post(effect.to, effect.message);
      return;
    }
    const { name, unit, epoch, ...rest } = effect.event;
    const details = { id: unit, epoch, ...rest };
    if (name === 'aborted') this.host.events.emit('relocation-aborted', details);
    else if (name === 'relocating' || name === 'relocated') this.host.events.emit(name, details);
    else this.host.world.log.debug(details, `directory: ${name}`);
  }

  private post(to: HostId, message: FromDirectory): void {
    if (threadOf(to) === this.host.thread) {
      this.router.moves.heard(to, message);
      return;
    }
    this.router.control(threadOf(to), 'move', { host: hostOf(0, 0), message });
  }

  private armTick(): void {
    const at = this.directory.deadlineAt ?? Number.POSITIVE_INFINITY;
    if (at === this.tickAt) return;
    if (this.tick !== null) this.host.disarm(this.tick);
    this.tickAt = at;
    if (at === Number.POSITIVE_INFINITY) return;
    this.tick = new Wake(() => {
      this.tickAt = Number.POSITIVE_INFINITY;
      // Not before the links have been read: after a long block the answer may be there already.
      this.host.world.clock.soon(() => this.step({ type: 'tick' }));
    });
    this.host.arm(this.tick, at);
  }

  /** A thread is certainly dead. Everybody else hears it, with the table of partitions that follows. */
  threadDied(thread: number, life: number): void {
    this.live.delete(thread);
    this.router.shifts?.threadDied(thread);
    const hosts = [...this.live].filter(each => each !== 0);
    const table = without(this.router.places.table, thread, hosts);
    const version = this.router.tableVersion + 1;
    for (const other of hosts) this.router.control(other, 'peer-died', { thread, table: tableBytes(table), version });
    this.router.deaths.peerDied(thread, table, version);
    this.step({ type: 'died', host: hostOf(thread, life) });
  }

  /** Its successor is up and every link to it is in place. */
  threadJoined(thread: number, life: number): void {
    const others = [...this.live].filter(each => each !== 0);
    this.live.add(thread);
    this.router.moves.lives[thread] = life;
    this.router.peers[thread]?.revive();
    // First what must not wake there now, of partitions and slots that change hands: the directory grants at once what is in doubt. And which
    // actors live elsewhere than the table says for having been on other nodes.
    this.router.gateway?.tellThread(thread);
    this.router.shifts?.tellThread(thread);
    this.step({ type: 'joined', host: hostOf(thread, life) });
    // To the newcomer a unit it has not heard of is one that has never moved: it is told before it reads its reminders.
    for (const { unit, host, epoch } of this.directory.owners())
      this.router.control(thread, 'move', { host: hostOf(0, 0), message: { type: 'located', unit, host, epoch } });
    this.welcome(thread);
    for (const other of others) this.router.control(other, 'peer-joined', { thread, life });
    this.router.deaths.joined(thread);
    for (const { from, message } of this.early.splice(0)) this.heard(from, message);
  }

  /** The state of affairs, for a thread that has come up. */
  welcome(thread: number): void {
    const { places, tableVersion: version, moves } = this.router;
    const gone = this.router.peers.flatMap(peer =>
      peer?.gone === true && peer.thread < this.router.threads ? [peer.thread] : [],
    );
    this.router.control(thread, 'welcome', { table: tableBytes(places.table), version, lives: moves.lives, gone });
  }

  describe(): object {
    return { live: [...this.live], ...this.directory.describe() };
  }
}

/** A table as bytes, little-endian, so that it crosses a link like any value. */
export function tableBytes(table: PartitionTable): Uint8Array {
  const bytes = new Uint8Array(table.length * 2);
  table.forEach((thread, p) => {
    bytes[p * 2] = thread & 255;
    bytes[p * 2 + 1] = thread >>> 8;
  });
  return bytes;
}

export function tableOf(bytes: Uint8Array): PartitionTable {
  return Uint16Array.from(
    { length: bytes.length / 2 },
    (_, p) => (bytes[p * 2] as number) | ((bytes[p * 2 + 1] as number) << 8),
  );
}
