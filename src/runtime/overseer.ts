// Thread 0's second job: the directory of moves, and what follows when a thread dies. One overseer a process; it decides,
// in one order, and every host hears its decisions in that order because each link is FIFO.
//
//   thread dies ─▶ directory: died ─▶ all hosts: peer-died (fresh table) ─▶ rings replaced ─▶ new life says hello ─▶ joined
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

export class Overseer {
  private readonly host: Host;
  private readonly router: FarRouter;
  private readonly directory: Directory;
  private readonly live = new Set<number>();
  private tick: Wake | null = null;
  private tickAt = Number.POSITIVE_INFINITY;
  /** An epoch taken and not spent by the last step. */
  private spare = 0;

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
    const slash = unit.indexOf('/');
    const hosted = this.host.byName.get(unit.slice(0, slash));
    const home =
      hosted === undefined
        ? 0
        : homeOf(hosted.spec, unit.slice(slash + 1), this.router.table, 0, this.router.peers.length);
    return live.find(host => threadOf(host) === home) ?? (live[0] as HostId);
  }

  /** A message for the directory. */
  heard(from: HostId, message: ToDirectory): void {
    this.step({ type: 'heard', from, message });
  }

  private step(input: DirectoryInput): void {
    if (this.spare <= this.directory.spent) {
      // Above every epoch any thread has used: a unit's new epoch must exceed that of its activation, wherever that is.
      this.host.epochs.renew();
      this.spare = this.host.epochs.next();
    }
    for (const effect of this.directory.step(input, this.host.now(), this.spare)) this.perform(effect);
    this.armTick();
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
  threadDied(thread: number, life: number): PartitionTable {
    this.live.delete(thread);
    const hosts = [...this.live].filter(each => each !== 0);
    const table = without(this.router.table, thread, hosts.length > 0 ? hosts : [0]);
    for (const other of this.live)
      if (other !== 0) this.router.control(other, 'peer-died', { thread, table: tableBytes(table) });
    this.router.peerDied(thread, table);
    this.step({ type: 'died', host: hostOf(thread, life) });
    return table;
  }

  /** Its successor is up and every link to it is in place. */
  threadJoined(thread: number, life: number): void {
    this.live.add(thread);
    this.router.moves.lives[thread] = life;
    for (const other of this.live) if (other !== 0) this.router.control(other, 'peer-joined', { thread, life });
    this.router.peers[thread]?.revive();
    this.step({ type: 'joined', host: hostOf(thread, life) });
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
