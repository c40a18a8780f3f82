// One connection to another node: a wire, the packets on it, and who they are for: at first the greeting, then a link.
//
//     greeting ──join()──▶ joined ──▶ ended             each arrow to 'ended' has its reason, told once to the owner
//        └──── greetingMs passed, refused, ... ──▶ ended
//
// A joined connection beats once a second when it has nothing else to say. Nothing heard for silenceMs, or a packet that has begun
// and does not end, and it is given up; the link goes on over the next one. A process that was stopped itself for a while finds the
// words of the others unread, not unsaid, so the time it did not run does not count.
//
// Invariant: the link is attached to at most one driver, and detached before its owner hears of the end.

import { beatMs, greetingBytesMax, greetingMs, packetBodyBytesMax, silenceMs } from '../../limits.ts';
import type { Cancel, Clock } from '../world.ts';
import { type Crc32, kindFrames, kindGoodbye, kindGreeting, PacketReader, packetOf } from './packet.ts';
import type { Progress } from './peer-inbox.ts';
import type { PeerLink } from './peer-link.ts';
import type { LinkStream } from './peer-link-options.ts';
import type { Wire } from './wire.ts';

/**
 * Why a connection has ended. 'closed': by us. 'ended': by the other side. 'error': of the stream. 'goodbye': the other side ends
 * the session. 'late': no greeting in time. 'silent': nothing heard. 'stuck': in the middle of a packet. 'damaged': bytes that are
 * no packet. 'senseless': a packet that no sane peer sends.
 */
export type DriverEnd =
  | 'closed'
  | 'ended'
  | 'error'
  | 'goodbye'
  | 'late'
  | 'silent'
  | 'stuck'
  | 'damaged'
  | 'senseless';

export interface DriverOptions {
  readonly wire: Wire;
  readonly clock: Pick<Clock, 'mono' | 'timer'>;
  readonly crc32: Crc32;
  /** A message of the greeting; its bytes are valid during the call. */
  onGreeting(body: Uint8Array): void;
  /** Once. `error`: of the stream. */
  onEnd(why: DriverEnd, error?: Error): void;
  /** A handler of frames has thrown. Nothing is lost by it. */
  onThrown(error: unknown): void;
}

export class PeerDriver implements LinkStream {
  readonly wire: Wire;
  private readonly options: DriverOptions;
  private readonly reader: PacketReader;
  private link: PeerLink | undefined;
  private ended = false;
  private cancel: Cancel;
  private wrote = false;
  /** When the last bytes came, when a packet was last completed, when tick() last ran. */
  private heardAt: number;
  private packetAt: number;
  private tickAt = 0;

  constructor(options: DriverOptions) {
    this.options = options;
    this.wire = options.wire;
    this.reader = new PacketReader(options.crc32, (...packet) => this.onPacket(...packet));
    this.reader.bodyMax = greetingBytesMax;
    this.heardAt = options.clock.mono();
    this.packetAt = this.heardAt;
    this.cancel = options.clock.timer(greetingMs, () => this.end('late', true));
    this.wire.listen({
      onBytes: bytes => this.onBytes(bytes),
      onDrain: () => this.link?.writable(),
      onEnd: ({ why, error }) => this.end(why, true, error),
    });
  }

  /** Sends a message of the greeting. */
  greet(body: Uint8Array): void {
    if (!this.ended) this.wire.write(packetOf(kindGreeting, body, this.options.crc32));
  }

  /** The greeting is over: from here on packets are the link's. False, and nothing has changed: the link refuses to go on from there. */
  join(link: PeerLink, peer: Progress): boolean {
    if (this.ended || !link.attach(this, peer)) return false;
    this.cancel();
    this.link = link;
    this.reader.bodyMax = packetBodyBytesMax;
    this.tickAt = this.options.clock.mono();
    this.planTick();
    return true;
  }

  /** Of the link, and of nobody else. */
  write(bytes: Uint8Array): boolean {
    this.wrote = true;
    return this.wire.write(bytes);
  }

  /** Tells the other end that the session is over, after what was written, and closes. */
  goodbye(): void {
    if (this.ended) return;
    this.wire.write(packetOf(kindGoodbye, new Uint8Array(0), this.options.crc32));
    this.close();
  }

  /** `now`: without what was not sent. */
  close(now: boolean = false): void {
    this.end('closed', now);
  }

  private onBytes(bytes: Uint8Array): void {
    if (this.ended) return;
    this.heardAt = this.options.clock.mono();
    if (!this.reader.midway) this.packetAt = this.heardAt;
    if (!this.reader.push(bytes) && this.reader.trouble !== undefined) this.end('damaged', true);
  }

  private onPacket(kind: number, number: number, bytes: Uint8Array, view: DataView, start: number, end: number): void {
    this.packetAt = this.heardAt;
    const { link } = this;
    if (link === undefined) {
      if (kind === kindGreeting) this.options.onGreeting(bytes.subarray(start, end));
      else this.end('senseless', true);
      return;
    }
    if (kind === kindGoodbye) return this.end('goodbye', true);
    if (kind < kindFrames || kind > kindGoodbye) return this.end('senseless', true);
    try {
      if (!link.onPacket(kind, number, bytes, view, start, end)) this.end('senseless', true);
    } catch (error) {
      this.options.onThrown(error);
    }
  }

  private planTick(): void {
    this.cancel = this.options.clock.timer(beatMs, () => this.tick());
  }

  private tick(): void {
    const now = this.options.clock.mono();
    if (now - this.tickAt >= 2 * beatMs) {
      this.heardAt = now;
      this.packetAt = now;
    }
    this.tickAt = now;
    if (now - this.heardAt >= silenceMs) return this.end('silent', true);
    if (this.reader.midway && now - this.packetAt >= silenceMs) return this.end('stuck', true);
    if (!this.wrote) this.link?.beat();
    this.wrote = false;
    this.planTick();
  }

  private end(why: DriverEnd, now: boolean, error?: Error): void {
    if (this.ended) return;
    this.ended = true;
    this.cancel();
    this.reader.stop();
    this.link?.detach();
    this.wire.close(now);
    this.options.onEnd(why, error);
  }
}
