// One thread's place in the fabric: a ring to and from every other thread, one bell, and the loop that decides when to poll
// and when to sleep. The deciding is ring-set.ts; here are the event loop, shared memory, and what happens when a peer dies.
//
//            frame or room                    nothing for pollWindowMs
//     polling ----------> polling (soon) ------------------------------> parked (waitAsync on the bell)
//        ^                                                                  |
//        +----------------- bell rung, or this thread sends ----------------+
//
// Polling goes through `soon` (setImmediate), so timers and sockets have their turn between any two polls, and a poll itself
// ends after pollBudgetMs. A sleeping thread costs nothing. Waking does, whatever the means: a round trip of two wake-ups took 61, 62 and
// 77 us with waitAsync, 58, 56 and 89 with a MessagePort, so we took the one without ports to hand around. A pending waitAsync does
// not keep a process alive: threads that exist to serve call ref().
//
// Tried and dropped: not polling after ringing a sleeper (it leaves it the core, but two threads on one core then take turns
// sleeping, 230 us an ask for as long as they talk); polling longer while a writer waits for room (it takes the core its reader needs).
//
// Invariant: between any two polls the thread has either been scheduled again or is parked with its wait in place.

import { TroupeError } from '../errors.ts';
import {
  fabricThreadsMax,
  pollBudgetMs,
  pollLoneFrames,
  pollLooks,
  pollWindowMs,
  ringBytesDefault,
} from '../limits.ts';
import type { LinkWriter, OnFrame } from './link.ts';
import { AtomicsPort } from './memory-port.ts';
import { PollPays } from './poll-pays.ts';
import { RingReader } from './ring-reader.ts';
import { Bell, RingSet } from './ring-set.ts';
import { RingWriter } from './ring-writer.ts';
import { makeRing, shapeOf } from './shared-ring.ts';

/** All shared memory of one process: plain data that can be cloned to a worker. Thread 0 is the main thread. */
export interface FabricMemory {
  readonly threads: number;
  readonly ringBytes: number;
  /** The ring from thread f to thread t at f * threads + t; null on the diagonal. */
  readonly rings: (SharedArrayBuffer | null)[];
  /** How often each thread has been replaced. */
  readonly generations: number[];
  /** One bell a thread, each on a cache line of its own. */
  readonly bells: SharedArrayBuffer;
}

/** The fresh rings of a restarted thread, by the number of the other one. Plain data as well. */
export interface PeerRings {
  readonly peer: number;
  readonly generation: number;
  readonly toPeer: (SharedArrayBuffer | null)[];
  readonly fromPeer: (SharedArrayBuffer | null)[];
}

export interface ThreadPortHooks {
  readonly onFrame: OnFrame;
  /** A ring to or from this peer was closed because a frame did not pass its check. Once a ring; replace it. */
  onBroken?(peer: number, error: TroupeError): void;
  /** A dead peer's ring is about to be given up: what it had not read is in there. */
  onUnread?(peer: number, ring: SharedArrayBuffer): void;
  /** A peer has not taken anything for this long although its ring is full. Asked for by watch(). */
  onPeerStuck?(peer: number, stuckMs: number): void;
  /** Runs fn in a later turn of the event loop (setImmediate). */
  soon(fn: () => void): void;
  /** Monotonic milliseconds with fractions. */
  mono(): number;
}

export interface ThreadPortOptions {
  /** Polling time after the last frame; 0 parks at once. Default limits.pollWindowMs. */
  readonly pollWindowMs?: number;
}

interface Peer {
  readonly number: number;
  readonly writer: RingWriter;
  ringTo: SharedArrayBuffer;
  reader: RingReader;
  /** Errors already reported, so that each is told once. */
  told: Set<TroupeError>;
  /** Where its reader was when watch() last looked, and since when it has stood there with frames before it; -1 if not. */
  readerAt: number;
  stuckSince: number;
}

/** Tells the core that this is a loop that waits: its other half gets what we do not use. */
const pause: () => void = (Atomics as { pause?: () => void }).pause ?? (() => {});

const bellStride = 32; // cells: two cache lines, because neighbours are prefetched in pairs

export function createFabric({
  threads,
  ringBytes = ringBytesDefault,
}: {
  threads: number;
  ringBytes?: number;
}): FabricMemory {
  if (!Number.isInteger(threads) || threads < 1 || threads > fabricThreadsMax) {
    throw new TroupeError('BAD_OPTION', `a fabric has 1 to ${fabricThreadsMax} threads, not ${threads}`);
  }
  const rings: (SharedArrayBuffer | null)[] = [];
  for (let from = 0; from < threads; from++) {
    for (let to = 0; to < threads; to++) {
      rings.push(from === to ? null : makeRing({ capacity: ringBytes, salt: saltOf(from, to, 0) }));
    }
  }
  return {
    threads,
    ringBytes,
    rings,
    generations: new Array<number>(threads).fill(0),
    bells: new SharedArrayBuffer(threads * bellStride * 4),
  };
}

/**
 * For the main thread, once `thread` is certainly dead: fresh rings for its successor, written into the fabric, to be
 * handed to every survivor's replace(). Rings every bell: the dead thread may have published without getting to notify.
 * Frames it had not taken are in the old rings (`unread` of ring-reader.ts), which the caller keeps as long as it wants them.
 */
export function replacePeer(fabric: FabricMemory, thread: number): PeerRings {
  const { threads, ringBytes, rings, generations } = fabric;
  const generation = (generations[thread] as number) + 1;
  generations[thread] = generation;
  const toPeer: (SharedArrayBuffer | null)[] = [];
  const fromPeer: (SharedArrayBuffer | null)[] = [];
  for (let other = 0; other < threads; other++) {
    const make = (from: number, to: number) => {
      const ring = other === thread ? null : makeRing({ capacity: ringBytes, salt: saltOf(from, to, generation) });
      rings[from * threads + to] = ring;
      return ring;
    };
    toPeer.push(make(other, thread));
    fromPeer.push(make(thread, other));
  }
  ringAll(fabric);
  return { peer: thread, generation, toPeer, fromPeer };
}

/** Wakes every thread of the fabric, whatever its bell says. */
export function ringAll(fabric: FabricMemory): void {
  const port = new AtomicsPort(fabric.bells);
  for (let thread = 0; thread < fabric.threads; thread++) new Bell(port, thread * bellStride).ringAnyway();
}

function saltOf(from: number, to: number, generation: number): number {
  return Math.imul((generation << 12) ^ (from << 6) ^ to, 0x85ebca6b) | 1;
}

export class ThreadPort {
  readonly self: number;
  private readonly hooks: ThreadPortHooks;
  private readonly bells: AtomicsPort;
  private readonly set: RingSet;
  private readonly peers: (Peer | undefined)[] = [];
  private readonly windowMs: number;
  private running = false;
  private scheduled = false;
  private lastActive = 0;
  private readonly polling = new PollPays();
  private deadline = 0;
  private keepAlive: NodeJS.Timeout | undefined;
  private polls = 0;
  /** Frames of the last turn that found any. */
  private burst = 0;
  private parks = 0;
  private readonly late: () => boolean;
  private readonly loop: () => void;

  constructor(fabric: FabricMemory, self: number, hooks: ThreadPortHooks, options: ThreadPortOptions = {}) {
    this.self = self;
    this.hooks = hooks;
    this.windowMs = options.pollWindowMs ?? pollWindowMs;
    this.bells = new AtomicsPort(fabric.bells);
    this.set = new RingSet(this.bells, self * bellStride, {
      onFrame: hooks.onFrame,
      onAwake: () => this.schedule(),
    });
    this.late = () => this.hooks.mono() >= this.deadline;
    this.loop = () => this.turn();
    for (let other = 0; other < fabric.threads; other++) {
      if (other === self) continue;
      const ringTo = fabric.rings[self * fabric.threads + other] as SharedArrayBuffer;
      const ringFrom = fabric.rings[other * fabric.threads + self] as SharedArrayBuffer;
      const writer = new RingWriter(new AtomicsPort(ringTo), shapeOf(ringTo), this.bellOf(other), this.set);
      const reader = this.readerOf(ringFrom, other);
      this.set.addWriter(writer);
      this.set.addReader(reader);
      this.peers[other] = { number: other, writer, ringTo, reader, told: new Set(), readerAt: 0, stuckSince: -1 };
    }
  }

  /** The same object for the life of this thread; after replace() it leads to the peer's successor. */
  writer(to: number): LinkWriter {
    return this.peer(to).writer;
  }

  readAt(to: number): number {
    return this.peer(to).writer.readerAt();
  }

  unread(to: number): number {
    return this.peer(to).writer.backlog();
  }

  /** How often this thread has looked at its rings. */
  get turns(): number {
    return this.polls;
  }

  start(): void {
    if (this.running) return;
    this.running = true;
    this.lastActive = this.hooks.mono();
    this.schedule();
  }

  /** Stops polling. Frames published to this thread stay in their rings; writers go on working. */
  stop(): void {
    this.running = false;
    this.unref();
  }

  /** Keeps this thread's event loop alive while it is parked. */
  ref(): void {
    this.keepAlive ??= setInterval(() => {}, 2 ** 31 - 1);
  }

  unref(): void {
    clearInterval(this.keepAlive);
    this.keepAlive = undefined;
  }

  /** Hands out up to framesMax frames now, a bounded number from each peer. The loop does this by itself once started. */
  poll(framesMax: number): number {
    const set = this.set;
    this.polls++;
    this.deadline = this.hooks.mono() + pollBudgetMs;
    const frames = set.poll(framesMax, this.late);
    if (frames > 0 || set.sent) {
      set.sent = false;
      this.lastActive = this.hooks.mono();
    }
    for (let i = 0; i < this.peers.length; i++) {
      const peer = this.peers[i];
      if (peer !== undefined && (peer.reader.error !== null || peer.writer.error !== null)) this.tell(peer);
    }
    return frames;
  }

  /** Everything this peer had published to us, now. For a peer that has died; a live one could keep us here. */
  drainRemainder(peer: number): number {
    const { reader } = this.peer(peer);
    let total = 0;
    for (let count = -1; count !== 0; total += count) count = reader.drain(Number.MAX_SAFE_INTEGER, this.hooks.onFrame);
    return total;
  }

  /** Goes on with the successor of a peer, after everything the dead one had published has been handed out. */
  replace(peer: number, rings: PeerRings): void {
    const entry = this.peer(peer);
    this.drainRemainder(peer);
    const ringTo = rings.toPeer[this.self] as SharedArrayBuffer;
    const ringFrom = rings.fromPeer[this.self] as SharedArrayBuffer;
    const old = entry.reader;
    entry.reader = this.readerOf(ringFrom, peer);
    entry.told = new Set();
    entry.stuckSince = -1;
    this.set.swapReader(old, entry.reader);
    this.hooks.onUnread?.(peer, entry.ringTo);
    entry.ringTo = ringTo;
    entry.writer.attach(new AtomicsPort(ringTo), shapeOf(ringTo).salt);
  }

  /** To be called by a timer now and then: reports peers that have had frames of ours for stuckMs and taken none. */
  watch(stuckMs: number): void {
    const now = this.hooks.mono();
    for (const peer of this.peers) {
      if (peer === undefined) continue;
      const readerAt = peer.writer.readerAt();
      if (peer.writer.backlog() === 0 || readerAt !== peer.readerAt) peer.stuckSince = -1;
      else if (peer.stuckSince < 0) peer.stuckSince = now;
      else if (now - peer.stuckSince >= stuckMs) this.hooks.onPeerStuck?.(peer.number, now - peer.stuckSince);
      peer.readerAt = readerAt;
    }
  }

  describe(): object {
    const peers = this.peers.flatMap(peer =>
      peer === undefined
        ? []
        : [
            {
              peer: peer.number,
              backlogBytes: peer.writer.backlog(),
              received: peer.reader.frames,
              ...peer.writer.stats(),
            },
          ],
    );
    return {
      thread: this.self,
      parked: this.set.parked,
      polls: this.polls,
      parks: this.parks,
      rests: this.polling.rests,
      peers,
    };
  }

  private turn(): void {
    this.scheduled = false;
    if (!this.running) return;
    const began = this.hooks.mono();
    let frames = 1;
    try {
      frames = this.poll(Number.MAX_SAFE_INTEGER);
      if (frames === 0 && this.burst <= pollLoneFrames && this.comes()) frames = this.poll(Number.MAX_SAFE_INTEGER);
      if (frames > 0) this.burst = frames;
    } finally {
      if (this.running) this.carryOn(frames, began);
    }
  }

  /**
   * Waits a moment for the next frame without a turn of the event loop, which costs 2 us each way: where frames come one at a time, as in
   * a conversation, there is nothing else to do. Beside many at a time it would only take the core from whoever makes them.
   */
  private comes(): boolean {
    for (let look = 0; look < pollLooks; look++) {
      if (this.set.ready()) return true;
      pause();
    }
    return false;
  }

  /** Poll on or park. */
  private carryOn(frames: number, began: number): void {
    const now = this.hooks.mono();
    if (frames > 0) this.polling.worked(began);
    else this.polling.idled(now);
    const pays = this.polling.pays(now);
    if ((pays && now - this.lastActive < this.windowMs) || !this.set.park()) {
      this.schedule();
      return;
    }
    this.parks++;
    this.polling.parked(now);
  }

  private schedule(): void {
    if (this.scheduled || !this.running) return;
    this.scheduled = true;
    this.hooks.soon(this.loop);
  }

  private tell(peer: Peer): void {
    for (const error of [peer.reader.error, peer.writer.error]) {
      if (error === null || peer.told.has(error)) continue;
      peer.told.add(error);
      this.hooks.onBroken?.(peer.number, error);
    }
  }

  private readerOf(ring: SharedArrayBuffer, from: number): RingReader {
    return new RingReader(new AtomicsPort(ring), shapeOf(ring), this.bellOf(from), from);
  }

  private bellOf(thread: number): Bell {
    return new Bell(this.bells, thread * bellStride);
  }

  private peer(thread: number): Peer {
    const peer = this.peers[thread];
    if (peer === undefined) throw new TroupeError('BAD_OPTION', `thread ${this.self} has no ring to ${thread}`);
    return peer;
  }
}
