// Records for the test with real threads: each says who sent it in which life, its number and its length, and every byte of
// it follows from those, so that a frame that is torn, foreign, doubled or out of place cannot pass for another.

import type { LinkWriter } from '../../src/runtime/link.ts';

const headBytes = 16;

/** Lengths from a few bytes to several windows of a 64 KiB ring; most are small. */
export function lengthOf(number: number): number {
  if (number % 5_003 === 5_002) return 100_000;
  if (number % 499 === 498) return 9_000;
  return headBytes + ((number * 7) % 90);
}

function byteOf(seed: number, at: number): number {
  return (seed + at * 11 + (at >> 8)) & 0xff;
}

/** False when the link is full. */
export function sendRecord(writer: LinkWriter, from: number, life: number, number: number): boolean {
  const length = lengthOf(number);
  const inPlace = length <= writer.windowMax && number % 3 > 0;
  const at = inPlace ? writer.begin(length) : 0;
  if (at < 0) return false;
  const bytes = inPlace ? writer.bytes : new Uint8Array(length);
  const view = inPlace ? writer.view : new DataView(bytes.buffer);
  view.setInt32(at, from);
  view.setInt32(at + 4, life);
  view.setInt32(at + 8, number);
  view.setInt32(at + 12, length);
  const seed = from * 7 + life * 13 + number * 17;
  for (let i = headBytes; i < length; i++) bytes[at + i] = byteOf(seed, i);
  if (!inPlace) return writer.send(bytes);
  writer.end(length);
  return true;
}

/** What a receiver has seen of each sender, and what was wrong with it. */
export class Ledger {
  frames = 0;
  readonly wrong: string[] = [];
  private readonly next = new Map<number, { life: number; number: number }>();

  take(from: number, bytes: Uint8Array, view: DataView, start: number, end: number): void {
    this.frames++;
    const problem = this.problemOf(from, bytes, view, start, end);
    if (problem !== null && this.wrong.length < 20) this.wrong.push(problem);
  }

  /** The number of the last record of this life, -1 if there was none. */
  last(from: number, life: number): number {
    const next = this.next.get(from);
    return next?.life === life ? next.number - 1 : -1;
  }

  private problemOf(from: number, bytes: Uint8Array, view: DataView, start: number, end: number): string | null {
    if (end - start < headBytes) return `a frame of ${end - start} bytes from ${from}`;
    const [sender, life, number, length] = [0, 4, 8, 12].map(at => view.getInt32(start + at)) as [
      number,
      number,
      number,
      number,
    ];
    const name = `record ${number} of ${sender} in life ${life}`;
    if (sender !== from || length !== end - start || length !== lengthOf(number))
      return `${name}, ${length} bytes, came from ${from}`;
    // The first record of a life need not be number 0 when we are new ourselves; after it none may be missing.
    const next = this.next.get(from);
    if (next !== undefined && life < next.life) return `${name} came after life ${next.life}`;
    if (next?.life === life && number !== next.number) return `${name} came instead of ${next.number}`;
    if (next !== undefined && life > next.life && number !== 0) return `${name} was the first of its life`;
    this.next.set(from, { life, number: number + 1 });
    const seed = sender * 7 + life * 13 + number * 17;
    for (let i = headBytes; i < length; i++)
      if (bytes[start + i] !== byteOf(seed, i)) return `${name} is torn at byte ${i}`;
    return null;
  }
}
