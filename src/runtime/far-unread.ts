// What a dead thread had been sent and had not read: found in the ring that led to it, and told as dead letters. Asks are not
// told, their askers have heard already.
//
// It is not sent again to whoever takes over: the dead thread gives the room of what it has read back only after each batch,
// so the first frames found here may have been handled, and a message must not be done twice.

import type { Codec } from './codec.ts';
import { type Frame, type FrameHandler, FrameReader, frameBind, frameTell } from './frame.ts';
import { unread } from './ring-reader.ts';
import type { TargetTable } from './target-table.ts';

export interface Address {
  readonly type: string;
  readonly key: string;
}

/** A tell nobody will run. `to` is undefined when its slot has been given to another address since. */
export type OnLost = (to: Address | undefined, frame: Frame<Address>) => void;

const kindAt = 1;
const slotAt = 4;

/** Calls `onLost` for each tell, in order. Answers with how many frames could not be made out. */
export function unreadTells(ring: SharedArrayBuffer, targets: TargetTable, codec: Codec, onLost: OnLost): number {
  const { frames, orphans } = unread(ring);
  const nobody: FrameHandler<Address> = {
    onTell: frame => onLost(frame.target === unknown ? undefined : frame.target, frame),
    onRefused: frame => (frame.kind === frameTell ? onLost(undefined, frame) : undefined),
    onAsk: () => undefined,
    onReply: () => undefined,
    onError: () => undefined,
    onControl: () => undefined,
  };
  const reader = new FrameReader<Address>(codec, (type, key) => (type === '' ? unknown : { type, key }), nobody, true);
  const views = frames.map(bytes => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const rebound = new Set<number>();
  for (const view of views) if (view.getUint8(kindAt) === frameBind) rebound.add(view.getUint32(slotAt, true));
  const bound = new Set<number>();
  let damaged = orphans;
  for (const [i, bytes] of frames.entries()) {
    const view = views[i] as DataView;
    const slot = view.getUint32(slotAt, true);
    const kind = view.getUint8(kindAt);
    if (kind === frameBind) bound.add(slot);
    else if (kind !== frameTell) continue;
    else if (!bound.has(slot)) {
      bound.add(slot);
      const address = rebound.has(slot) ? undefined : targets.addressOf(slot);
      reader.bind(slot, address?.type ?? '', address?.key ?? '');
    }
    try {
      reader.read(-1, bytes, view, 0, bytes.length);
    } catch {
      damaged++;
    }
  }
  return damaged;
}

const unknown: Address = { type: '', key: '' };
