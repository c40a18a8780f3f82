// The arguments of a message, out of the four slots it travels in (see refs.ts for the head's low bits).

export function argumentsOf(code: number, a0: unknown, a1: unknown): unknown[] {
  switch (code & 3) {
    case 0:
      return [];
    case 1:
      return [a0];
    case 2:
      return [a0, a1];
    default:
      return a0 as unknown[];
  }
}
