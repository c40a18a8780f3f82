// Chance that survives shrinking: each draw is a hash of the seed and of what it is for, never the next number of a sequence.
// Take one fault or one operation away, and every other draw stays what it was (research/reliability.md 3.2).

/** In [0, 1), for what the parts name. Same seed and parts, same number. */
export type Draw = (...parts: readonly (string | number)[]) => number;

export function drawsOf(seed: number): Draw {
  return (...parts) => hashOf(seed, parts) / 2 ** 32;
}

/** A whole number of 32 bits for the seed and the parts. */
export function hashOf(seed: number, parts: readonly (string | number)[]): number {
  let hash = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
  for (const part of parts) {
    if (typeof part === 'number') hash = mix(mix(hash, part), Math.floor(part / 2 ** 32));
    else for (let index = 0; index < part.length; index++) hash = mix(hash, part.charCodeAt(index));
    hash = mix(hash, 0x1f);
  }
  return finish(hash);
}

function mix(hash: number, part: number): number {
  const next = Math.imul(hash ^ part, 0xcc9e2d51);
  return (next ^ (next >>> 15)) >>> 0;
}

/** The end of murmur3: every bit of the input changes half of the bits. */
function finish(hash: number): number {
  let z = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}

export const whole = (draw: number, count: number): number => Math.floor(draw * count);
