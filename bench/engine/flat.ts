// A store of the store bench as an engine: the shard goes in front of the key.

import type { StoreSide } from '../store/side.ts';
import { type EngineSide, type Key, prefixOf } from './side.ts';

export function flatEngine(side: StoreSide): EngineSide {
  const { scan, fill, pid, settle } = side;
  return {
    open: folder => side.open(folder),
    put: ({ text }, value) => side.put(text, value),
    get: ({ text }) => side.get(text),
    ...(scan && {
      scan: (shard: number, limit: number, visit: (value: Uint8Array) => void) =>
        scan({ from: prefixOf(shard), to: prefixOf(shard + 1), limit }, (_, value) => visit(value)),
    }),
    ...(fill && { fill: (entries: Iterable<readonly [Key, Buffer]>) => fill(textual(entries)) }),
    ...(pid && { pid }),
    ...(settle && { settle }),
    close: () => side.close(),
  };
}

function* textual(entries: Iterable<readonly [Key, Buffer]>) {
  for (const [{ text }, value] of entries) yield [text, value] as const;
}
