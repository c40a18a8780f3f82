// Receivers that are slow on purpose, and senders that do not care. A file of its own: threads import it by URL.

import { existsSync } from 'node:fs';
import { Actor, type ActorType, type DeactivateReason, defineActor, type Ref, tell } from '../../../src/index.ts';
import { blockUntil } from './block.ts';

const held = new Map<string, () => void>();

export interface SinkState {
  /** By sender: how many came, and the last number. */
  from: Record<string, { count: number; last: number; bytes: number }>;
  wrong: string[];
}

export class Sink extends Actor<SinkState> {
  override initial(): SinkState {
    return { from: {}, wrong: [] };
  }
  take(sender: string, n: number, load?: unknown): number {
    const seen = this.state.from[sender] ?? { count: 0, last: -1, bytes: 0 };
    this.state.from[sender] = seen;
    if (n <= seen.last) this.state.wrong.push(`${sender}: ${n} after ${seen.last}`);
    seen.last = n;
    seen.count++;
    seen.bytes += load instanceof Uint8Array ? load.length : 0;
    return n;
  }
  report(): SinkState {
    return this.state;
  }
  /** A turn that stays open until release(). */
  async hold(): Promise<void> {
    await new Promise<void>(resolve => held.set(this.self.key, resolve));
  }
  isHeld(key: string): boolean {
    return held.has(key);
  }
  release(key: string): void {
    held.get(key)?.();
    held.delete(key);
  }
  /** Holds up its whole thread, as soon as the answer is on its way, until there is a file of that name. */
  block(path: string): void {
    setImmediate(blockUntil, path);
  }
}

/** Slow, until there is a file of the name that each message brings. */
export class Slow extends Sink {
  override take(sender: string, n: number, path?: unknown): number {
    for (const end = performance.now() + 2; !existsSync(path as string) && performance.now() < end; );
    return super.take(sender, n);
  }
}

/** Takes its time to fall asleep: until release(). */
export class Drowsy extends Sink {
  override async onDeactivate(why: DeactivateReason): Promise<void> {
    if (why === 'idle') await this.hold();
  }
}

export interface Sent {
  readonly accepted: number;
  readonly refused: number;
  /** Numbers that were accepted are 0, 1, 2, ... when `gaps` is not asked for. */
  readonly codes: string[];
}

export class Source extends Actor<{ sent: number }> {
  override initial(): { sent: number } {
    return { sent: 0 };
  }
  /** Tells `count` times without a pause, whatever is refused. */
  flood(to: Ref<Sink>, sender: string, count: number, bytes: number): Sent {
    return this.floodWith(to, sender, 0, count, bytes > 0 ? new Uint8Array(bytes) : undefined);
  }
  /** The same, with numbers from `first` on. */
  floodWith(to: Ref<Sink>, sender: string, first: number, count: number, load: unknown): Sent {
    let accepted = 0;
    let refused = 0;
    const codes = new Set<string>();
    for (let n = first; n < first + count; n++) {
      try {
        tell(to).take(sender, n, load);
        accepted++;
      } catch (error) {
        refused++;
        codes.add((error as { code: string }).code);
      }
    }
    return { accepted, refused, codes: [...codes] };
  }
  /** Tells `count` times, each as soon as it is let. */
  async pour(to: Ref<Sink>, sender: string, count: number): Promise<number> {
    let waited = 0;
    for (let n = 0; n < count; n++) {
      const slot = tell(to).take(sender, n);
      if (slot === undefined) continue;
      waited++;
      await slot;
    }
    return waited;
  }
  /** Tells and asks, all at once; the tells are not awaited. */
  async both(to: Ref<Sink>, sender: string, count: number): Promise<number> {
    const all: (Promise<unknown> | undefined)[] = [];
    for (let n = 0; n < count; n++) all.push(n % 4 === 3 ? to.take(sender, n) : tell(to).take(sender, n));
    await Promise.all(all);
    return all.filter(each => each !== undefined).length;
  }
  /** Asks `count` times at once; what they came to, by code. */
  async ask(to: Ref<Sink>, sender: string, count: number): Promise<Record<string, number>> {
    const outcomes: Record<string, number> = {};
    const asks = Array.from({ length: count }, async (_, n) => {
      try {
        await to.take(sender, n);
        outcomes.ok = (outcomes.ok ?? 0) + 1;
      } catch (error) {
        const { code } = error as { code: string };
        outcomes[code] = (outcomes[code] ?? 0) + 1;
      }
    });
    await Promise.all(asks);
    return outcomes;
  }
}

const sink = (type: string, overflow: 'reject' | 'wait', capacity: number, bytes: number): ActorType<Sink> =>
  defineActor(import.meta.url, Sink, {
    type,
    placement: 'pinned',
    thread: 1,
    mailbox: { overflow, capacity, bytes },
  });
export const RejectT: ActorType<Sink> = sink('reject', 'reject', 64, 1 << 20);
export const WaitT: ActorType<Sink> = sink('wait', 'wait', 64, 1 << 20);
export const DrowsyT: ActorType<Drowsy> = defineActor(import.meta.url, Drowsy, {
  type: 'drowsy',
  placement: 'pinned',
  thread: 1,
  idleMs: 1,
  mailbox: { capacity: 64 },
});
export const SlowT: ActorType<Slow> = defineActor(import.meta.url, Slow, { type: 'slow', mailbox: { capacity: 64 } });
export const HelperT: ActorType<Sink> = sink('helper', 'reject', 1_024, 1 << 20);
const source = (thread: number): ActorType<Source> =>
  defineActor(import.meta.url, Source, { type: `source-${thread}`, placement: 'pinned', thread });
export const Source0T: ActorType<Source> = source(0);
export const Source2T: ActorType<Source> = source(2);
export const pressureTypes: readonly ActorType[] = [
  RejectT,
  WaitT,
  DrowsyT,
  SlowT,
  HelperT,
  Source0T,
  Source2T,
] as ActorType[];
