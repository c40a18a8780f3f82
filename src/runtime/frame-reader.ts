// Hot path: bench/codec watches it. Frames out of a link, one call of the handler for each. Nothing is allocated for the
// header: one Frame is filled anew for every message.
//
// The intuition: what is wrong with a frame is either the link's fault or the message's. A broken header or payload means
// that the two ends do not speak the same language: the error goes to the link, which closes. A sound message to an actor
// type that is not known here, or with such a ref in it, is refused by itself, and the link goes on.
//
// Invariant: whatever the bytes, read() calls the handler once (a bind: not at all), or throws BAD_MESSAGE or TOO_LARGE.

import { toWireError, type WireError } from '../errors.ts';
import { depthMax } from '../limits.ts';
import type { Codec } from './codec.ts';
import {
  Frame,
  frameAsk,
  frameBind,
  frameControl,
  frameError,
  frameReply,
  frameTell,
  readBind,
  readHeader,
  slotOf,
} from './frame-header.ts';
import type { OnFrame } from './link.ts';
import { BoundTargets, Unresolved } from './target-table.ts';
import { badMessage } from './wire-ext.ts';
import { scanWire } from './wire-scan.ts';

export interface FrameHandler<T> {
  onTell(frame: Frame<T>): void;
  onAsk(frame: Frame<T>): void;
  onReply(from: number, callId: number, value: unknown): void;
  onError(from: number, callId: number, error: WireError): void;
  onControl(from: number, name: string, payload: unknown): void;
  /**
   * A sound tell or ask of which nothing can be made here: its target or a ref in its arguments could not be resolved.
   * `frame.target` is undefined in the first case; the arguments are not to be used in either.
   */
  onRefused(frame: Frame<T>, error: unknown): void;
}

/** One for each link and direction. */
export class FrameReader<T> {
  private readonly codec: Codec;
  private readonly handler: FrameHandler<T>;
  private readonly trusted: boolean;
  private readonly targets: BoundTargets<T>;
  private readonly frame = new Frame<T>();

  /**
   * `resolve`: what this side keeps for an address, asked once, when the address gets its slot; a throw refuses what is sent
   * to it. `trusted`: the frames come from a thread of this process, written by this very code, and are not scanned.
   */
  constructor(
    codec: Codec,
    resolve: (type: string, key: string) => T,
    handler: FrameHandler<T>,
    trusted: boolean = false,
  ) {
    this.codec = codec;
    this.handler = handler;
    this.trusted = trusted;
    this.targets = new BoundTargets(resolve);
  }

  /** Hand this to the link. */
  readonly read: OnFrame = (from, bytes, view, start, end) => {
    const frame = this.frame;
    frame.from = from;
    const payload = readHeader(frame, bytes, view, start, end);
    switch (frame.kind) {
      case frameTell:
      case frameAsk:
        this.onMessage(slotOf(view, start), bytes, view, payload, end);
        break;
      case frameBind:
        this.targets.bind(slotOf(view, start), ...readBind(bytes, payload, end));
        return;
      case frameReply:
      case frameError:
        this.onAnswer(bytes, view, payload, end);
        break;
      case frameControl:
        this.onControl(bytes, view, payload, end);
    }
    // What was sent belongs to who received it; kept here it would live until the next frame.
    frame.a0 = undefined;
    frame.a1 = undefined;
    frame.a2 = undefined;
    frame.rest = null;
  };

  /** What a frame that was read by somebody else had bound. */
  bind(slot: number, type: string, key: string): void {
    this.targets.bind(slot, type, key);
  }

  private onMessage(slot: number, bytes: Uint8Array, view: DataView, payload: number, end: number): void {
    const { frame, handler } = this;
    const target = this.targets.at(slot);
    if (!this.trusted) scanWire(bytes, view, payload, end, depthMax + 1);
    if (target instanceof Unresolved) {
      frame.target = undefined;
      handler.onRefused(frame, target.error);
      return;
    }
    frame.target = target;
    try {
      this.codec.decodeArgs(bytes, view, payload, end, frame);
    } catch (error) {
      if (!this.codec.isOfRef(error)) throw error;
      handler.onRefused(frame, error);
      return;
    }
    if (frame.kind === frameTell) handler.onTell(frame);
    else handler.onAsk(frame);
  }

  private onAnswer(bytes: Uint8Array, view: DataView, payload: number, end: number): void {
    const { frame, handler } = this;
    if (!this.trusted) scanWire(bytes, view, payload, end, depthMax + 1);
    try {
      this.codec.decodeArgs(bytes, view, payload, end, frame);
    } catch (error) {
      if (!this.codec.isOfRef(error)) throw error;
      handler.onError(frame.from, frame.callId, toWireError(error));
      return;
    }
    if (frame.kind === frameReply) handler.onReply(frame.from, frame.callId, frame.a0);
    else if (isWireError(frame.a0)) handler.onError(frame.from, frame.callId, frame.a0);
    else throw badMessage('an error that is none', payload);
  }

  private onControl(bytes: Uint8Array, view: DataView, payload: number, end: number): void {
    const { frame } = this;
    if (!this.trusted) scanWire(bytes, view, payload, end, depthMax + 1);
    this.codec.decodeArgs(bytes, view, payload, end, frame);
    if (frame.argc !== 2 || typeof frame.a0 !== 'string') throw badMessage('a control message without a name', payload);
    this.handler.onControl(frame.from, frame.a0, frame.a1);
  }
}

/** Five fields of the right types. What the code is, fromWireError() looks at. */
function isWireError(value: unknown): value is WireError {
  if (!Array.isArray(value) || value.length !== 5) return false;
  const [code, message, details, outcome, retryable] = value as unknown[];
  return (
    typeof code === 'string' &&
    typeof message === 'string' &&
    typeof details === 'object' &&
    details !== null &&
    (outcome === 'failed' || outcome === 'unknown') &&
    typeof retryable === 'boolean'
  );
}
