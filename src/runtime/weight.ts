// Hot path: what a message weighs in its mailbox, in units of 64 bytes. Exact for numbers, strings and bytes; objects are
// estimated (a bounded part of them is walked). Local messages are handed over, not encoded, so this is all they cost.

import { sizeOf } from './size-of.ts';

const unitBytes = 64;
/** 20 bits in the head of a message. */
const unitsMax: number = (1 << 20) - 1;

export function unitsOf(code: number, a0: unknown, a1: unknown): number {
  if ((typeof a0 === 'number' || a0 === undefined) && (a1 === undefined || typeof a1 === 'number')) return 1;
  return heavy(code, a0, a1);
}

function heavy(_code: number, a0: unknown, a1: unknown): number {
  const bytes = sizeOf(a0) + sizeOf(a1);
  const units = (bytes + unitBytes) >>> 6;
  return Math.min(units, unitsMax);
}

/** A message from its list of arguments, head and all. */
export function weigh(method: number, args: readonly unknown[]): { head: number; a0: unknown; a1: unknown } {
  const code = (method << 2) | Math.min(args.length, 3);
  if (args.length >= 3) return { head: code | (unitsOf(code, args, undefined) << 10), a0: args, a1: undefined };
  return { head: code | (unitsOf(code, args[0], args[1]) << 10), a0: args[0], a1: args[1] };
}

/** Units of a message that arrived encoded: its bytes are known. */
export function unitsOfBytes(bytes: number): number {
  const units = (bytes + unitBytes) >>> 6;
  return Math.min(units, unitsMax);
}
