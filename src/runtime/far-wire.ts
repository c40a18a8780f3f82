// Frames between this host and the others: what the router says, as frame.ts writes it, and back.
//
// Hot path: bench/threads watches it. One writer a peer, one envelope for all asks; a tell with up to two arguments goes
// from the stub into the ring without an object in between.

import { TroupeError, type WireError } from '../errors.ts';
import type { Activation } from './activation.ts';
import type { Call } from './call.ts';
import type { Codec } from './codec.ts';
import type { FarRouter } from './far-router.ts';
import { unreadTells } from './far-unread.ts';
import { Envelope, type Frame, type FrameHandler, FrameReader, FrameWriter, frameAsk } from './frame.ts';
import type { Gateway } from './gateway/gateway.ts';
import type { HostedType } from './hosted-type.ts';
import type { LinkWriter } from './link.ts';
import { ACT, type BaseRef, boxedArguments, FAR, KEY, TYPE } from './refs.ts';
import { leftUntil, momentIn } from './shared-deadline.ts';

/** What the receiving side keeps for an address it has been told of: looked up once a link, not once a message. */
export interface FarPlace {
  readonly hosted: HostedType;
  readonly key: string;
  act: Activation | null;
  /** Of a gateway, which sends on what comes for it: made with the first message. */
  ref: BaseRef | null;
}

/** The links this host writes to, by thread. */
export interface FarLinks {
  writer(to: number): LinkWriter;
  /** How often the links have been read: a number that changes with each turn of the event loop in which anything is sent. */
  readonly turns: number;
  /** How far the other side has read, and how many bytes it has not read yet. */
  readAt(to: number): number;
  unread(to: number): number;
}

/** Dead letters told one by one when a thread dies; the rest is one number. */
const lettersMax = 1_024;

export class FarWire implements FrameHandler<FarPlace> {
  private readonly router: FarRouter;
  private readonly links: FarLinks;
  private readonly clock: () => number;
  private readonly writers: (FrameWriter | undefined)[] = [];
  private readonly readers: (FrameReader<FarPlace> | undefined)[] = [];
  private readonly threads: number;
  private readonly envelope = new Envelope();
  /** Of the last tell or ask that was sent: its target's number on the link, and its length. */
  slot = -1;
  bytes = 0;

  /** `clock`: monotonic ms, the same on all threads. `threads`: peers from this number on are other nodes. */
  constructor(router: FarRouter, links: FarLinks, clock: () => number, threads: number) {
    this.threads = threads;
    this.router = router;
    this.links = links;
    this.clock = clock;
  }

  private writer(thread: number): FrameWriter {
    const known = this.writers[thread];
    if (known !== undefined) return known;
    const made = new FrameWriter(this.links.writer(thread), this.codecFor(thread));
    this.writers[thread] = made;
    return made;
  }

  private reader(thread: number): FrameReader<FarPlace> {
    const known = this.readers[thread];
    if (known !== undefined) return known;
    const isThread = thread < this.threads;
    const place = (type: string, key: string): FarPlace => this.placeOf(type, key);
    const inward = (type: string, key: string): FarPlace => (this.router.gateway as Gateway).inward(place(type, key));
    const made = new FrameReader<FarPlace>(this.codecFor(thread), isThread ? place : inward, this, isThread);
    this.readers[thread] = made;
    return made;
  }

  private codecFor(peer: number): Codec {
    return peer < this.threads ? this.router.host.codec : (this.router.gateway as Gateway).codec;
  }

  /** Threads share a clock and are told moments on it; other nodes are told what is left. */
  private clockFor(peer: number): number {
    return peer < this.threads ? this.clock() : 0;
  }

  private placeOf(type: string, key: string): FarPlace {
    const hosted = this.router.host.byName.get(type);
    if (hosted === undefined)
      throw new TroupeError('NO_ACTOR_TYPE', `no actor type '${type}' on thread ${this.router.host.thread}`);
    return { hosted, key, act: null, ref: null };
  }

  /** A thread has died without reading all it was sent. */
  lost(thread: number, ring: SharedArrayBuffer): void {
    const { host } = this.router;
    const targets = this.writers[thread]?.targets;
    if (targets === undefined) return;
    let told = 0;
    const damaged = unreadTells(ring, targets, host.codec, (to, frame) => {
      if (++told > lettersMax) return;
      const method = to === undefined ? undefined : host.byName.get(to.type)?.nameOf(frame.method);
      const why = `thread ${thread} died; it had not read the message, or only just`;
      const args = [frame.a0, frame.a1, frame.a2, ...(frame.rest ?? [])].slice(0, frame.argc);
      host.deadLetter(
        to === undefined ? `an actor on thread ${thread}` : `${to.type}/${to.key}`,
        method ?? '?',
        args,
        why,
      );
    });
    const more = Math.max(0, told - lettersMax) + damaged;
    if (more > 0) host.deadLetter(`actors on thread ${thread}`, '?', [], `${more} more messages were lost with it`);
  }

  /** The peer's rings have been replaced: both sides begin with empty tables of targets. */
  forget(thread: number): void {
    this.writers[thread] = undefined;
    this.readers[thread] = undefined;
  }

  onWritable(thread: number, fn: () => void): void {
    this.links.writer(thread).onWritable(fn);
  }

  // Out. Each returns false when the link is full and nothing was sent.

  tell(thread: number, ref: BaseRef, code: number, a0: unknown, a1: unknown): boolean {
    const writer = this.writers[thread] ?? this.writer(thread);
    const far = ref[FAR];
    const count = code & boxedArguments;
    const method = (code >>> 2) & 255;
    const type = ref[TYPE].name;
    const key = keyOf(ref);
    const hint = far === null ? -1 : far.slot;
    writer.bytesMax = ref[TYPE].spec.bytes;
    let sent: boolean;
    const envelope = far === null || far.epoch < 0 ? null : this.epochOnly(far.epoch);
    if (count < boxedArguments)
      sent = writer.encodeTell(type, key, hint, method, count, a0, a1, undefined, null, envelope);
    else {
      const args = a0 as unknown[];
      sent = writer.encodeTell(
        type,
        key,
        hint,
        method,
        args.length,
        args[0],
        args[1],
        args[2],
        args.length > 3 ? args.slice(3) : null,
        envelope,
      );
    }
    this.slot = writer.slot;
    this.bytes = writer.bytes;
    if (far !== null) far.slot = writer.slot;
    return sent;
  }

  ask(
    thread: number,
    ref: BaseRef,
    code: number,
    a0: unknown,
    a1: unknown,
    call: Call,
    remainingMs: number,
    chain: readonly string[] | null,
  ): boolean {
    const writer = this.writers[thread] ?? this.writer(thread);
    const far = ref[FAR];
    const count = code & boxedArguments;
    const method = (code >>> 2) & 255;
    const envelope = this.envelope;
    envelope.remainingMs = momentIn(this.clockFor(thread), remainingMs);
    envelope.chain = chain;
    envelope.sender = call.extra?.opId ?? null;
    envelope.trace = call.extra?.trace ?? null;
    envelope.epoch = far === null ? -1 : far.epoch;
    const hint = far === null ? -1 : far.slot;
    const type = ref[TYPE].name;
    const key = keyOf(ref);
    writer.bytesMax = ref[TYPE].spec.bytes;
    let sent: boolean;
    if (count < boxedArguments)
      sent = writer.encodeAsk(type, key, hint, method, call.id, count, a0, a1, undefined, null, envelope);
    else {
      const args = a0 as unknown[];
      sent = writer.encodeAsk(
        type,
        key,
        hint,
        method,
        call.id,
        args.length,
        args[0],
        args[1],
        args[2],
        args.length > 3 ? args.slice(3) : null,
        envelope,
      );
    }
    this.slot = writer.slot;
    this.bytes = writer.bytes;
    if (far !== null) far.slot = writer.slot;
    return sent;
  }

  /** What a tell to an actor that has moved carries; to the others it carries nothing. */
  private epochOnly(epoch: number): Envelope {
    const { envelope } = this;
    envelope.remainingMs = Number.POSITIVE_INFINITY;
    envelope.chain = null;
    envelope.sender = null;
    envelope.trace = null;
    envelope.epoch = epoch;
    return envelope;
  }

  answer(thread: number, id: number, value: unknown): boolean {
    return this.writer(thread).encodeReply(id, value);
  }

  refuse(thread: number, id: number, error: WireError): boolean {
    return this.writer(thread).encodeError(id, error);
  }

  control(thread: number, name: string, payload: unknown): boolean {
    return this.writer(thread).encodeControl(name, payload);
  }

  // In.

  receive(from: number, bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const reader = this.readers[from] ?? this.reader(from);
    reader.read(from, bytes, view, start, end);
  }

  onTell(frame: Frame<FarPlace>): void {
    const place = frame.target as FarPlace;
    const code = codeOf(frame);
    if (frame.from >= this.threads) {
      this.router.gateway?.onTell(frame, code, firstOf(frame), frame.argc === 2 ? frame.a1 : undefined);
      return;
    }
    this.router.arrivals.arrive(
      frame.from,
      place,
      frame.epoch,
      code,
      firstOf(frame),
      frame.argc === 2 ? frame.a1 : undefined,
      null,
    );
  }

  onAsk(frame: Frame<FarPlace>): void {
    const place = frame.target as FarPlace;
    if (frame.from >= this.threads) {
      this.router.gateway?.onAsk(frame, codeOf(frame), firstOf(frame), frame.argc === 2 ? frame.a1 : undefined);
      return;
    }
    const leftMs = leftUntil(this.clock(), frame.remainingMs);
    const call = this.router.arrivals.ask(frame.from, frame.callId, leftMs, frame.chain);
    if (call === undefined) return;
    if (frame.sender !== null || frame.trace !== null) {
      call.extra = { opId: frame.sender ?? undefined, trace: frame.trace ?? undefined };
      if (frame.trace !== null) this.router.host.tracing = true;
    }
    this.router.arrivals.arrive(
      frame.from,
      place,
      frame.epoch,
      codeOf(frame),
      firstOf(frame),
      frame.argc === 2 ? frame.a1 : undefined,
      call,
    );
  }

  onReply(from: number, callId: number, value: unknown): void {
    if (from >= this.threads) this.router.gateway?.onReply(from, callId, value);
    else this.router.outcomes.onAnswer(callId, value);
  }

  onError(from: number, callId: number, error: WireError): void {
    if (from >= this.threads) this.router.gateway?.onError(from, callId, error);
    else this.router.outcomes.onRefused(callId, error);
  }

  onControl(from: number, name: string, payload: unknown): void {
    this.router.onControl(from, name, payload);
  }

  onRefused(frame: Frame<FarPlace>, error: unknown): void {
    if (frame.kind === frameAsk) {
      this.router.refuse({ peer: frame.from, id: frame.callId }, error);
      return;
    }
    const to = frame.target === undefined ? 'an unknown actor' : `${frame.target.hosted.name}/${frame.target.key}`;
    this.router.host.deadLetter(to, `method ${frame.method}`, [], String(error));
  }
}

function keyOf(ref: BaseRef): string {
  const key = ref[KEY];
  return key === '' ? (ref[ACT] as Activation).key : key;
}

/** How a message lies in a mailbox: up to two arguments unboxed, more as one array. */
function codeOf(frame: Frame<FarPlace>): number {
  return (frame.method << 2) | Math.min(frame.argc, boxedArguments);
}

function firstOf(frame: Frame<FarPlace>): unknown {
  if (frame.argc < boxedArguments) return frame.argc === 0 ? undefined : frame.a0;
  return frame.rest === null ? [frame.a0, frame.a1, frame.a2] : [frame.a0, frame.a1, frame.a2, ...frame.rest];
}

export function refOf(place: FarPlace): BaseRef {
  place.ref ??= new place.hosted.stubs.Ref(place.key);
  return place.ref;
}
