// What a value looks like as bytes: msgpack, with five extension types of our own. One page for the writer, the reader
// and the scan, so that they cannot disagree.
//
//   null, booleans, float64, int8..32, uint8..32, str, bin, array      as the msgpack specification has them
//   -0 and every number that is not a 32-bit integer                   float64
//   undefined                                                          d4 00 00, as msgpackr and others write it
//   Date                                                               extension -1, the timestamp of the specification
//   bigint                                                             int64 or uint64 (numbers never are); beyond them:
//   plain object                                                       map whose keys are strings
//
//   extension  1  ref         type bytes (u8), type, key               UTF-8
//              2  Map         a msgpack map, keys of any kind
//              3  Set         a msgpack array
//              4  bigint      sign (0 or 1), 32-bit words, big-endian only beyond 64 bits
//              5  typed array element kind (u8), elements              little-endian, as every machine we run on
//
// Lengths need not be as short as possible: a writer that does not know a length yet may leave room for a larger one.

export const nil = 0xc0;
export const no = 0xc2;
export const yes = 0xc3;
export const bin8 = 0xc4;
export const bin16 = 0xc5;
export const bin32 = 0xc6;
export const ext8 = 0xc7;
export const ext16 = 0xc8;
export const ext32 = 0xc9;
export const float32 = 0xca;
export const float64 = 0xcb;
export const uint8 = 0xcc;
export const uint16 = 0xcd;
export const uint32 = 0xce;
export const uint64 = 0xcf;
export const int8 = 0xd0;
export const int16 = 0xd1;
export const int32 = 0xd2;
export const int64 = 0xd3;
export const fixext1 = 0xd4;
export const fixext2 = 0xd5;
export const fixext4 = 0xd6;
export const fixext8 = 0xd7;
export const fixext16 = 0xd8;
export const str8 = 0xd9;
export const str16 = 0xda;
export const str32 = 0xdb;
export const array16 = 0xdc;
export const array32 = 0xdd;
export const map16 = 0xde;
export const map32 = 0xdf;

export const extUndefined = 0x00;
export const extRef = 0x01;
export const extMap = 0x02;
export const extSet = 0x03;
export const extBigint = 0x04;
export const extTyped = 0x05;
/** -1 as a byte. */
export const extTimestamp = 0xff;

/** The longest ext header: c9, four bytes of length, the type. */
export const extHeaderBytesMax = 6;

/** Element kinds of extension 5; the index is the byte on the wire. Append only. Bytes themselves are msgpack bin. */
export const typedArrayNames: readonly string[] = [
  'Int8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
];
export const typedArrayElementBytes: readonly number[] = [1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 2];
