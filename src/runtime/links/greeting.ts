// The messages of the greeting between two nodes: the bodies of packets of kind 1, before anything is known of the other side.
//
//     hello    [ type u8 | versions u16 u16 | nonce 32 | incarnation f64 | session f64 | its incarnation f64 | 3 x (length u8, text)
//                | replicas u8, 0 for none, or nothing more | partitions u32, or nothing more ]
//     proof    [ type u8 | length of the mac u8: 0 or 32 | received f64 | granted f64 | mac ]
//     refusal  [ type u8 | code u8 ]                                          little-endian; texts: cluster, name, address
//
// The beginning of a hello is the same in every version, or versions could not be agreed on; what later ones put behind it is
// skipped, and still covered by the proofs, which are over the bytes. Nothing here is trusted: a body that is not exactly one
// of these is undefined.

import { TroupeError } from '../../errors.ts';
import { addressBytesMax, clusterNameBytesMax } from '../../limits.ts';
import { show } from '../show.ts';
import type { Progress } from './peer-inbox.ts';

/** The versions of links this release speaks. */
export const versionMin = 1;
export const versionMax = 1;

export type Role = 'dialer' | 'acceptor';

export interface Hello {
  readonly type: 'hello';
  readonly role: Role;
  readonly versionMin: number;
  readonly versionMax: number;
  readonly nonce: Uint8Array;
  /** Which life of the node. */
  readonly incarnation: number;
  /** The session this end would go on with, 0 for none, and which life of the other end that was with. */
  readonly session: number;
  readonly sessionIncarnation: number;
  readonly cluster: string;
  readonly name: string;
  /** Where the node wants to be dialled; empty: nowhere. */
  readonly address: string;
  /** How many nodes keep each partition, 1 to 255. Undefined: it says nothing of that. */
  readonly replicas?: number | undefined;
  /** Undefined: the same. */
  readonly partitions?: number | undefined;
}

export interface Proof {
  readonly type: 'proof';
  readonly role: Role;
  /** Empty without a secret. */
  readonly mac: Uint8Array;
  /** How far this end has got in the session that is agreed on. */
  readonly progress: Progress;
}

/** Why a greeting comes to nothing. Their order is the code on the wire. */
export const reasons = [
  'refused', // and no more is said
  'malformed',
  'version',
  'cluster',
  'self',
  'namesake',
  'name',
  'certificate',
  'secret',
  'duplicate',
  'superseded',
  'session',
  'full',
  'stopping',
  'replicas',
  'partitions',
] as const;
export type Reason = (typeof reasons)[number];

export interface Refusal {
  readonly type: 'refusal';
  readonly reason: Reason;
}

export type Greeting = Hello | Proof | Refusal;

const nonceBytes = 32;
const macBytes = 32;
const typeHello: Readonly<Record<Role, number>> = { dialer: 1, acceptor: 2 };
const typeProof: Readonly<Record<Role, number>> = { dialer: 3, acceptor: 4 };
const typeRefusal = 5;
const helloFixedBytes = 5 + nonceBytes + 24;
const proofFixedBytes = 18;
const nodeName = /^[a-z0-9-]{1,32}$/;

/** Throws BAD_OPTION: what no hello could carry. */
export function checkMember(cluster: unknown, incarnation: number): void {
  const bytes = typeof cluster === 'string' && isPlain(cluster) ? new TextEncoder().encode(cluster).length : 0;
  if (bytes < 1 || bytes > clusterNameBytesMax)
    throw new TroupeError(
      'BAD_OPTION',
      `cluster must be text of 1 to ${clusterNameBytesMax} bytes, not ${show(cluster)}`,
      {
        details: { option: 'cluster' },
      },
    );
  if (!isCount(incarnation))
    throw new TroupeError('BAD_OPTION', `incarnation must be a whole number, not ${show(incarnation)}`, {
      details: { option: 'incarnation' },
    });
}

export function encodeHello(hello: Omit<Hello, 'type'>): Uint8Array {
  const texts = [hello.cluster, hello.name, hello.address].map(text => new TextEncoder().encode(text));
  const more = encodeRules(hello);
  const body = new Uint8Array(helloFixedBytes + texts.reduce((sum, text) => sum + 1 + text.length, 0) + more.length);
  const view = new DataView(body.buffer);
  view.setUint8(0, typeHello[hello.role]);
  view.setUint16(1, hello.versionMin, true);
  view.setUint16(3, hello.versionMax, true);
  body.set(hello.nonce, 5);
  let at = 5 + nonceBytes;
  for (const number of [hello.incarnation, hello.session, hello.sessionIncarnation]) {
    view.setFloat64(at, number, true);
    at += 8;
  }
  for (const text of texts) {
    body[at] = text.length;
    body.set(text, at + 1);
    at += 1 + text.length;
  }
  body.set(more, at);
  return body;
}

export function encodeProof({ role, mac, progress }: Omit<Proof, 'type'>): Uint8Array {
  const body = new Uint8Array(proofFixedBytes + mac.length);
  body[0] = typeProof[role];
  body[1] = mac.length;
  body.set(progressBytes(progress), 2);
  body.set(mac, proofFixedBytes);
  return body;
}

export function encodeRefusal(reason: Reason): Uint8Array {
  return Uint8Array.of(typeRefusal, reasons.indexOf(reason));
}

export function decodeGreeting(body: Uint8Array): Greeting | undefined {
  switch (body[0]) {
    case typeHello.dialer:
      return decodeHello('dialer', body);
    case typeHello.acceptor:
      return decodeHello('acceptor', body);
    case typeProof.dialer:
      return decodeProof('dialer', body);
    case typeProof.acceptor:
      return decodeProof('acceptor', body);
    case typeRefusal:
      return body.length === 2 ? { type: 'refusal', reason: reasons[body[1] as number] ?? 'refused' } : undefined;
    default:
      return undefined;
  }
}

function decodeHello(role: Role, body: Uint8Array): Hello | undefined {
  if (body.length < helloFixedBytes) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const [versionMin, versionMax] = [view.getUint16(1, true), view.getUint16(3, true)];
  const numbers = [0, 8, 16].map(at => view.getFloat64(5 + nonceBytes + at, true));
  const [incarnation, session, sessionIncarnation] = numbers as [number, number, number];
  if (versionMin > versionMax || !numbers.every(isCount)) return undefined;
  let at = helloFixedBytes;
  const text = (bytesMax: number): string | undefined => {
    const length = body[at] ?? bytesMax + 1;
    const from = at + 1;
    at = from + length;
    return length > bytesMax || at > body.length ? undefined : textOf(body.subarray(from, at));
  };
  const [cluster, name, address] = [text(clusterNameBytesMax), text(32), text(addressBytesMax)];
  if (cluster === undefined || name === undefined || address === undefined || !nodeName.test(name)) return undefined;
  const nonce = body.slice(5, 5 + nonceBytes);
  const life = { incarnation, session, sessionIncarnation };
  const more = decodeRules(body.subarray(at));
  return { type: 'hello', role, versionMin, versionMax, nonce, ...life, cluster, name, address, ...more };
}

function encodeRules({ replicas, partitions }: Pick<Hello, 'replicas' | 'partitions'>): number[] {
  if (partitions === undefined) return replicas === undefined ? [] : [replicas];
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, partitions, true);
  return [replicas ?? 0, ...bytes];
}

function decodeRules(body: Uint8Array): Pick<Hello, 'replicas' | 'partitions'> {
  const replicas = body[0] ? { replicas: body[0] } : {};
  const partitions = body.length < 5 ? 0 : new DataView(body.buffer, body.byteOffset).getUint32(1, true);
  return partitions === 0 ? replicas : { ...replicas, partitions };
}

function decodeProof(role: Role, body: Uint8Array): Proof | undefined {
  const length = body[1];
  if ((length !== 0 && length !== macBytes) || body.length !== proofFixedBytes + length) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const progress = { received: view.getFloat64(2, true), granted: view.getFloat64(10, true) };
  if (!isCount(progress.received) || !isCount(progress.granted)) return undefined;
  return { type: 'proof', role, mac: body.slice(proofFixedBytes), progress };
}

/** As it lies in a proof, and as the proof's mac covers it. */
export function progressBytes({ received, granted }: Progress): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, received, true);
  view.setFloat64(8, granted, true);
  return bytes;
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** Without control characters, which would get into logs, and whole. */
const isPlain = (text: string): boolean => text.isWellFormed() && !/\p{Cc}/u.test(text);

/** Text that is no UTF-8 is nobody's name. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return isPlain(text) ? text : undefined;
  } catch {
    return undefined;
  }
}
