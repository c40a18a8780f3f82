// What the jobs of the tests run. A file of its own: the threads of the jobs pool import it by URL.

import { burn } from './trouble-actors.ts';

export function double(n: number): number {
  return n * 2;
}

export async function slowly(n: number): Promise<number> {
  await new Promise(resolve => setTimeout(resolve, 5));
  return n + 1;
}

export function fail(message: string): never {
  throw Object.assign(new RangeError(message), { code: 'E_JOB' });
}

export function exit(): never {
  process.exit(3);
}

export function spin(ms: number): number {
  return burn(ms);
}

export function unsendable(): unknown {
  return () => 1;
}

export function sizeOf(bytes: ArrayBuffer): number {
  return bytes.byteLength;
}

export const notCallable = 7;
