// Hot path: bench/codec watches it. Names of properties by their bytes.
//
// The intuition: a name read from the wire is a new string, and a new string used as a key is first looked up in the
// engine's table of all names, which costs more than reading it. Messages repeat few names, so a small direct-mapped
// table in front gives back the string that is in that table already. A name that falls on an occupied place replaces
// what was there: no chains, so names made to collide cost what names without the cache would.
//
// Invariant: find() only returns a string whose bytes are the bytes asked for.

/** Four times the distinct names a service uses; 8 KiB a codec. */
const slots = 1_024;
/** Longer names are not kept: they seldom come again, and a thousand of them would be a lot. */
const nameCharsMax = 64;

export class KeyCache {
  private readonly names: string[] = new Array<string>(slots).fill('');

  /** Undefined when it is not here, or not ASCII: those are not kept. */
  find(bytes: Uint8Array, at: number, length: number): string | undefined {
    const name = this.names[slotOf(bytes, at, length)] as string;
    if (name.length !== length) return undefined;
    for (let i = 0; i < length; i++) {
      if (name.charCodeAt(i) !== bytes[at + i]) return undefined;
    }
    return name;
  }

  keep(name: string, bytes: Uint8Array, at: number): string {
    if (name.length > nameCharsMax) return name;
    for (let i = 0; i < name.length; i++) {
      if (name.charCodeAt(i) >= 0x80) return name;
    }
    this.names[slotOf(bytes, at, name.length)] = name;
    return name;
  }
}

/** First, middle and last byte and the length tell apart most names of one message. */
function slotOf(bytes: Uint8Array, at: number, length: number): number {
  if (length === 0) return 0;
  const first = bytes[at] as number;
  const middle = bytes[at + (length >> 1)] as number;
  const last = bytes[at + length - 1] as number;
  return (length * 0x9e5 + first * 0x1f3 + middle * 0x61 + last * 0x0b) & (slots - 1);
}
