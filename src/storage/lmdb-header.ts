// Whether a file begins as an LMDB environment of ours does. lmdb-js 3.5.6 does not throw when it does not: it frees what it
// still uses, and the process dies of SIGSEGV without a word. So we look first.
//
// Two pages at the start hold a meta record each; the one with the higher transaction counts. A page here, little endian:
//
//     18      24      28        48          136    144         152
//     | flags | magic | version | page size | root | last page | transaction
//
// Only what is always true of a good file is checked. Its length, for one, is not: the last pages may never be written.

/** As much of a file as is looked at: the first page, and the beginning of the second. */
export const headBytes: number = 65_536 + 160;

const metaFlag = 8;
const magic = 0xbeefc0de;
const dataVersion = 2;
const noPage = 0xffff_ffff_ffff_ffffn;
const metaBytes = 160;

/** What is wrong with a file that begins so and is so long; undefined when it may be opened. */
export function headerDamage(head: Uint8Array, fileBytes: number): string | undefined {
  if (fileBytes === 0) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (head.length < metaBytes) return `it has only ${fileBytes} bytes`;
  const first = metaDamage(view, 0);
  if (first) return `its first page ${first}`;
  const pageBytes = view.getUint32(48, true);
  if (!pageSizes.has(pageBytes)) return `its pages would have ${pageBytes} bytes`;
  if (head.length < pageBytes + metaBytes) return `it has only ${fileBytes} bytes`;
  const second = metaDamage(view, pageBytes);
  if (second) return `its second page ${second}`;
  const latest = transaction(view, 0) >= transaction(view, pageBytes) ? 0 : pageBytes;
  const root = view.getBigUint64(latest + 136, true);
  if (root === noPage || (root + 1n) * BigInt(pageBytes) <= BigInt(fileBytes)) return undefined;
  return `it ends before its root, page ${root}`;
}

const pageSizes: ReadonlySet<number> = new Set([4_096, 8_192, 16_384, 32_768, 65_536]);

function metaDamage(view: DataView, at: number): string | undefined {
  if (!(view.getUint16(at + 18, true) & metaFlag) || view.getUint32(at + 24, true) !== magic)
    return 'is not one of LMDB';
  const version = view.getUint32(at + 28, true) & 0xffff;
  return version === dataVersion ? undefined : `has version ${version} of the format`;
}

function transaction(view: DataView, at: number): bigint {
  return view.getBigUint64(at + 152, true);
}
