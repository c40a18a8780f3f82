// A shard on its way elsewhere: whole records in chunks of about 64 KiB, so that a link can share itself fairly.
//
//     0     4        5       6       10      17      21
//     | crc | format | flags | index | fence | count | entries ...
//     entry: | key bytes u16 | version bytes u16 | value bytes u32 | epoch u56 | key | version | value
//
// Each checksum continues from the one before it, so a chunk that is damaged, missing, doubled, out of order or from
// another export is noticed when it is read, not when the shard is used. The records carry no checksum of their own
// here: it covers the shard's name, and a shard may be imported under another one.
//
// Invariant: reader.end() returns only if every chunk of one export was read, whole and in order.

import { TroupeError } from '../errors.ts';
import { chunkBytesMax, recordKeyBytesMax } from '../limits.ts';
import type { Crc32 } from './crc32.ts';
import type { ShardChunk, StoredRecord } from './engine.ts';
import { readU16, readU32, readU56, writeU16, writeU32, writeU56 } from './little-endian.ts';
import { view } from './record.ts';

const format = 1;
const lastFlag = 1;
const headerBytes = 21;
const entryHeaderBytes = 15;

export class ChunkWriter {
  readonly #crc: Crc32;
  readonly #fence: number;
  #seed = 0;
  #index = 0;
  #records: StoredRecord[] = [];
  #bytes: number = headerBytes;

  /** `fence` is the highest epoch the shard has seen. */
  constructor(crc: Crc32, fence: number) {
    this.#crc = crc;
    this.#fence = fence;
  }

  /** A chunk, when this record did not fit into it any more. */
  add(record: StoredRecord): ShardChunk | undefined {
    const bytes = entryBytes(record);
    const full = this.#records.length > 0 && this.#bytes + bytes > chunkBytesMax;
    const chunk = full ? this.#close(false) : undefined;
    this.#records.push(record);
    this.#bytes += bytes;
    return chunk;
  }

  /** The last chunk; there always is one, and it may be empty. */
  end(): ShardChunk {
    return this.#close(true);
  }

  #close(last: boolean): ShardChunk {
    const bytes = new Uint8Array(this.#bytes);
    bytes[4] = format;
    bytes[5] = last ? lastFlag : 0;
    writeU32(bytes, 6, this.#index++);
    writeU56(bytes, 10, this.#fence);
    writeU32(bytes, 17, this.#records.length);
    let at = headerBytes;
    for (const record of this.#records) at = writeEntry(bytes, at, record);
    this.#seed = this.#crc(bytes.subarray(4), this.#seed);
    writeU32(bytes, 0, this.#seed);
    this.#records = [];
    this.#bytes = headerBytes;
    return { bytes, last };
  }
}

export class ChunkReader {
  readonly #crc: Crc32;
  readonly #shard: string;
  #seed = 0;
  #index = 0;
  #fence = 0;
  #ended = false;

  constructor(crc: Crc32, shard: string) {
    this.#crc = crc;
    this.#shard = shard;
  }

  /** The records, as views of the chunk. Throws CORRUPT. */
  read(chunk: ShardChunk): StoredRecord[] {
    const { bytes } = chunk;
    if (this.#ended) throw this.#damaged('more follows after the last one');
    if (bytes.length < headerBytes) throw this.#damaged(`only ${bytes.length} bytes long`);
    this.#seed = this.#crc(bytes.subarray(4), this.#seed);
    if (this.#seed !== readU32(bytes, 0)) throw this.#damaged('the checksum differs, or one before it is missing');
    // The checksum has matched: what is wrong from here on was written wrong.
    if (bytes[4] !== format) throw this.#damaged(`format ${bytes[4]} is not known`);
    if (readU32(bytes, 6) !== this.#index) throw this.#damaged(`number ${readU32(bytes, 6)} came instead`);
    this.#ended = ((bytes[5] as number) & lastFlag) !== 0;
    if (this.#ended !== chunk.last) throw this.#damaged('it disagrees on whether it is the last');
    this.#fence = readU56(bytes, 10);
    this.#index++;
    return this.#entries(bytes, readU32(bytes, 17));
  }

  /** The fence of the whole shard. Throws CORRUPT when the last chunk is missing. */
  end(): number {
    if (!this.#ended) throw this.#damaged('the last one is missing');
    return this.#fence;
  }

  #entries(bytes: Uint8Array, count: number): StoredRecord[] {
    const records: StoredRecord[] = [];
    let at = headerBytes;
    for (let index = 0; index < count; index++) {
      const end = at + entryHeaderBytes <= bytes.length ? entryEnd(bytes, at) : Number.POSITIVE_INFINITY;
      if (end > bytes.length) throw this.#damaged('a record ends behind it');
      const record = readEntry(bytes, at);
      if (record.key.length > recordKeyBytesMax) throw this.#damaged('a key is too long');
      records.push(record);
      at = end;
    }
    if (at !== bytes.length) throw this.#damaged('something follows its records');
    return records;
  }

  #damaged(reason: string): TroupeError {
    const where = { shard: this.#shard, chunk: this.#index, reason };
    return new TroupeError('CORRUPT', `Chunk ${this.#index} of shard ${this.#shard} is damaged: ${reason}.`, {
      details: where,
    });
  }
}

function entryBytes({ key, version, value }: StoredRecord): number {
  return entryHeaderBytes + key.length + version.length + value.length;
}

function writeEntry(bytes: Uint8Array, at: number, { key, epoch, version, value }: StoredRecord): number {
  writeU16(bytes, at, key.length);
  writeU16(bytes, at + 2, version.length);
  writeU32(bytes, at + 4, value.length);
  writeU56(bytes, at + 8, epoch);
  let body = at + entryHeaderBytes;
  for (const part of [key, version, value]) {
    bytes.set(part, body);
    body += part.length;
  }
  return body;
}

function readEntry(bytes: Uint8Array, at: number): StoredRecord {
  const keyAt = at + entryHeaderBytes;
  const versionAt = keyAt + readU16(bytes, at);
  const valueAt = versionAt + readU16(bytes, at + 2);
  return {
    key: view(bytes, keyAt, versionAt),
    epoch: readU56(bytes, at + 8),
    version: view(bytes, versionAt, valueAt),
    value: view(bytes, valueAt, entryEnd(bytes, at)),
  };
}

function entryEnd(bytes: Uint8Array, at: number): number {
  return at + entryHeaderBytes + readU16(bytes, at) + readU16(bytes, at + 2) + readU32(bytes, at + 4);
}
