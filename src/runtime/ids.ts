// Names: of nodes, actor types and actors, and the two kinds of address made of them.
//
//      n2/1          node n2, thread 1           (n2 alone: any thread)
//      cart/user-7   actor 'user-7' of type cart (only the first slash divides; a key may hold more)
//
// Invariant: a name that passed here holds nothing that could be mistaken for another part of an address, a path or a wire
// format. A lone surrogate is refused because UTF-8 cannot carry it: two different keys would arrive as the same one.

import { TroupeError } from '../errors.ts';
import { keyBytesMax } from '../limits.ts';

export interface NodeAddress {
  readonly node: string;
  /** Left out: the node chooses. */
  readonly thread?: number;
}

export interface ActorAddress {
  readonly type: string;
  readonly key: string;
}

const nodeName = /^[a-z0-9-]{1,32}$/;
const typeName = /^[a-zA-Z0-9._-]{1,64}$/;
const threadNumber = /^(?:0|[1-9][0-9]{0,4})$/;

/** A node name, unchanged. Throws BAD_OPTION. */
export function checkNodeName(name: unknown): string {
  if (typeof name === 'string' && nodeName.test(name)) return name;
  const hint =
    typeof name === 'string' && nodeName.test(name.toLowerCase()) ? `; '${name.toLowerCase()}' would do` : '';
  throw badOption('node name', name, `must be 1 to 32 of a-z, 0-9 and '-'${hint}`);
}

/** An actor type name, unchanged. Throws BAD_OPTION. */
export function checkTypeName(name: unknown): string {
  if (typeof name === 'string' && typeName.test(name)) return name;
  throw badOption('actor type name', name, `must be 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'`);
}

/** An actor key, unchanged. Throws what a store does for a key of its own: BAD_OPTION, and TOO_LARGE for one that is too long. */
export function checkActorKey(key: unknown, bytesMax: number = keyBytesMax): string {
  if (typeof key !== 'string') {
    const remedy = typeof key === 'number' || typeof key === 'bigint' ? `; String(key) would do` : '';
    throw badKey(`an actor key must be a string, got ${show(key)}${remedy}`);
  }
  if (key === '')
    throw badKey('an actor key must not be empty; give the actor a name, such as the id of what it stands for');
  if (key.charCodeAt(0) === 0)
    throw badKey(
      `actor key ${show(key)} begins with a NUL, as the names of spawned actors do; those are reached by the ref from spawn()`,
    );
  // Three bytes a UTF-16 unit at most, so most keys are not walked.
  if (key.length * 3 > bytesMax) {
    const bytes = utf8Length(key);
    if (bytes > bytesMax) {
      throw new TroupeError(
        'TOO_LARGE',
        `actor key ${show(key)} is ${bytes} bytes of UTF-8, the most is ${bytesMax}; use a hash of it`,
        { details: { option: 'key', bytes, bytesMax } },
      );
    }
  }
  if (!key.isWellFormed()) {
    throw badKey(
      `actor key ${show(key)} holds half a surrogate pair, which UTF-8 cannot carry; was a string cut inside a character?`,
    );
  }
  return key;
}

/** 'n2/1' or 'n2'. Throws BAD_OPTION. */
export function parseNodeAddress(text: unknown): NodeAddress {
  if (typeof text !== 'string') throw badOption('node address', text, "must be text such as 'n2' or 'n2/1'");
  const slash = text.indexOf('/');
  if (slash < 0) return { node: checkNodeName(text) };
  const thread = text.slice(slash + 1);
  if (!threadNumber.test(thread)) {
    throw badOption(
      'node address',
      text,
      "must be a node, or a node and the number of a thread, such as 'n2' or 'n2/1'",
    );
  }
  return { node: checkNodeName(text.slice(0, slash)), thread: Number(thread) };
}

/** 'cart/user-7'. Throws BAD_MESSAGE, and what checkActorKey does. */
export function parseActorAddress(text: unknown): ActorAddress {
  const slash = typeof text === 'string' ? text.indexOf('/') : -1;
  if (typeof text !== 'string' || slash < 0) {
    throw badMessage(`an actor address must be a type, a slash and a key, such as 'cart/user-7', got ${show(text)}`);
  }
  const type = text.slice(0, slash);
  if (!typeName.test(type)) {
    throw badMessage(
      `actor address ${show(text)} must begin with a type of 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'`,
    );
  }
  return { type, key: checkActorKey(text.slice(slash + 1)) };
}

/** Bytes of a string as UTF-8, without encoding it; a lone surrogate counts three, as U+FFFD does. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    bytes += code < 0x800 ? 1 : 2;
    if ((code & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) i++; // two units, four bytes
  }
  return bytes;
}

function badOption(what: string, value: unknown, rule: string): TroupeError {
  return new TroupeError('BAD_OPTION', `${what} ${show(value)} ${rule}`);
}

function badKey(message: string): TroupeError {
  return new TroupeError('BAD_OPTION', message, { details: { option: 'key' } });
}

function badMessage(message: string): TroupeError {
  return new TroupeError('BAD_MESSAGE', message);
}

/** Short and on one line, whatever it is: these texts go to logs. */
function show(value: unknown): string {
  if (typeof value === 'string')
    return value.length > 48 ? `${JSON.stringify(value.slice(0, 48))}...` : JSON.stringify(value);
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
