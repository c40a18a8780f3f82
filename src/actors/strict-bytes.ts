// Writing and reading small binary records, strictly. There is exactly one way to write each value (a varint has no
// spare zero bytes), and reading anything else is an answer, not an exception: bytes come from disks and strangers.
//
// Intuition: the reader is sticky. The first thing that is wrong is remembered in `why`, and from then on every read
// gives 0 or nothing; a decoder reads straight on and asks once, at the end, whether all was well.
//
// Invariant: a reader never reads past its end and never allocates more than the bytes it was given.

const varintBytesMax = 8;
/** Up to here a loop is quicker than the call that copies, and most of what comes here is shorter. */
const shortBytes = 64;

/** Appends to a buffer that grows; done() hands out a copy, so one writer can be used again and again. */
export class ByteWriter {
  private bytes: Uint8Array = new Uint8Array(256);
  private at = 0;

  byte(value: number): void {
    this.room(1);
    this.bytes[this.at++] = value;
  }

  /** 0 to 2^53 - 1, seven bits a byte, the low ones first. */
  varint(value: number): void {
    this.room(varintBytesMax);
    let rest = value;
    while (rest >= 128) {
      this.bytes[this.at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.at++] = rest;
  }

  /** Big-endian, `count` bytes. */
  fixed(value: number, count: number): void {
    this.room(count);
    let rest = value;
    for (let i = this.at + count - 1; i >= this.at; i--) {
      this.bytes[i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    this.at += count;
  }

  /** Printable ASCII with its length before it. */
  ascii(text: string): void {
    this.varint(text.length);
    this.room(text.length);
    for (let i = 0; i < text.length; i++) this.bytes[this.at++] = text.charCodeAt(i);
  }

  raw(bytes: Uint8Array, from = 0): void {
    const count = bytes.length - from;
    this.room(count);
    if (count > shortBytes) this.bytes.set(from === 0 ? bytes : bytes.subarray(from), this.at);
    else for (let i = 0; i < count; i++) this.bytes[this.at + i] = bytes[from + i] as number;
    this.at += count;
  }

  /** A checksum of what was written since the last done(). */
  sum(crc: (bytes: Uint8Array, seed: number, from: number, to: number) => number): number {
    return crc(this.bytes, 0, 0, this.at);
  }

  /** What was written since the last done(), as a copy. */
  done(): Uint8Array {
    const count = this.at;
    this.at = 0;
    if (count > shortBytes) return this.bytes.slice(0, count);
    const made = new Uint8Array(count);
    for (let i = 0; i < count; i++) made[i] = this.bytes[i] as number;
    return made;
  }

  private room(count: number): void {
    if (this.at + count <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.at + count));
    larger.set(this.bytes.subarray(0, this.at));
    this.bytes = larger;
  }
}

export class ByteReader {
  /** The first thing that was wrong, with its offset. */
  why: string | undefined;
  private readonly bytes: Uint8Array;
  private readonly end: number;
  private at = 0;

  constructor(bytes: Uint8Array, end: number = bytes.length) {
    this.bytes = bytes;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  get ok(): boolean {
    return this.why === undefined;
  }

  fail(what: string): 0 {
    this.why ??= `${what} at byte ${this.at}`;
    this.at = this.end;
    return 0;
  }

  byte(what: string): number {
    if (this.left < 1) return this.fail(`${what} is cut off`);
    return this.bytes[this.at++] as number;
  }

  varint(what: string): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < varintBytesMax; i++) {
      if (this.left < 1) return this.fail(`${what} is cut off`);
      const byte = this.bytes[this.at++] as number;
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (byte === 0 && i > 0) return this.fail(`${what} is written longer than it needs`);
        return Number.isSafeInteger(value) ? value : this.fail(`${what} is larger than 2^53 - 1`);
      }
      scale *= 128;
    }
    return this.fail(`${what} never ends`);
  }

  /** A varint that says how many items of at least `bytesEach` bytes follow. */
  count(what: string, bytesEach = 1): number {
    const count = this.varint(what);
    if (count * bytesEach > this.left) return this.fail(`${what} is ${count}, with ${this.left} bytes left`);
    return count;
  }

  fixed(what: string, count: number): number {
    if (this.left < count) return this.fail(`${what} is cut off`);
    let value = 0;
    for (let i = 0; i < count; i++) value = value * 256 + (this.bytes[this.at++] as number);
    return Number.isSafeInteger(value) ? value : this.fail(`${what} is larger than 2^53 - 1`);
  }

  /** Printable ASCII of 1 to `max` characters. */
  ascii(what: string, max: number): string {
    const length = this.count(what);
    if (this.ok && (length < 1 || length > max)) this.fail(`${what} has ${length} characters, not 1 to ${max}`);
    let text = '';
    for (let i = 0; this.ok && i < length; i++) {
      const code = this.bytes[this.at++] as number;
      if (code < 0x21 || code > 0x7e) this.fail(`${what} is not printable`);
      text += String.fromCharCode(code);
    }
    return this.ok ? text : '';
  }

  /** A view of the next bytes, not a copy. */
  raw(what: string, count: number): Uint8Array {
    if (this.left < count) {
      this.fail(`${what} is cut off`);
      return new Uint8Array(0);
    }
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  /** Refuses bytes that belong to nothing. */
  finish(): void {
    if (this.left > 0) this.fail(`${this.left} bytes too many`);
  }
}

/** Bytes a value takes as a varint. */
export function varintBytes(value: number): number {
  let count = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) count++;
  return count;
}
