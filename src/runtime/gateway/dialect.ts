// What two nodes have to agree on to understand each other: how methods are numbered, and which addresses mean the same on both.
//
// A message names its method by a number, the place in the table of its type. Nodes may run different versions of a type (a rolling
// upgrade), so each says at the beginning of a session what it calls its methods, and the receiver goes by the names.
//
// A child, a local, a pool or a pinned actor is somebody else on every node under the same address: a ref to one stays on its node.

import { TroupeError } from '../../errors.ts';
import { type Codec, createCodec } from '../codec.ts';
import type { Host } from '../host.ts';
import { type HostedType, reminderMethod } from '../hosted-type.ts';
import { type BaseRef, isRef } from '../refs.ts';

/** For what leaves the node: refuses refs that mean something here only. */
export function travelCodec(host: Host, dialect: Dialect = new Dialect(host)): Codec {
  return createCodec({
    isRef,
    encodeRef: ref => dialect.outward(host.nameRef(ref as BaseRef)),
    decodeRef: (type, key) => {
      const ref = host.refByName(type, key);
      dialect.outward([type, key]);
      return ref;
    },
  });
}

/** By type: the names of its methods in the order of their numbers. */
export type Methods = Readonly<Record<string, readonly string[]>>;

/** No such method here. */
const unknownMethod = -1;
const argumentBits = 2;
const argumentMask = 3;

export class Dialect {
  readonly #host: Host;
  readonly #theirs = new Map<number, Methods>();
  /** By peer, by type: our number of their method; null where all are the same. */
  readonly #tables = new Map<number, Map<HostedType, readonly number[] | null>>();

  constructor(host: Host) {
    this.#host = host;
  }

  own(): Methods {
    return Object.fromEntries(this.#host.types.map(({ name, methods }) => [name, methods.map(each => each.name)]));
  }

  /** Throws BAD_MESSAGE. */
  learn(peer: number, methods: unknown): void {
    const isText = (name: unknown): boolean => typeof name === 'string';
    const isTable = (names: unknown): boolean => Array.isArray(names) && names.every(isText);
    if (typeof methods !== 'object' || methods === null || !Object.values(methods).every(isTable))
      throw new TroupeError('BAD_MESSAGE', 'a node told its types in a way that cannot be read');
    this.#theirs.set(peer, methods as Methods);
    this.#tables.delete(peer);
  }

  forget(peer: number): void {
    this.#theirs.delete(peer);
    this.#tables.delete(peer);
  }

  /** The code of a message as that peer sent it, as ours; negative when we have no such method. */
  translate(peer: number, hosted: HostedType, code: number): number {
    // A guest's reminder takes the way of all messages, by its home.
    if (code >>> argumentBits === reminderMethod) return code;
    let tables = this.#tables.get(peer);
    if (tables === undefined) {
      tables = new Map();
      this.#tables.set(peer, tables);
    }
    let table = tables.get(hosted);
    if (table === undefined) {
      table = this.#tableOf(peer, hosted);
      tables.set(hosted, table);
    }
    if (table === null) return code >>> argumentBits < hosted.methods.length ? code : unknownMethod;
    const method = table[code >>> argumentBits] ?? unknownMethod;
    return method === unknownMethod ? method : (method << argumentBits) | (code & argumentMask);
  }

  #tableOf(peer: number, hosted: HostedType): readonly number[] | null {
    const theirs = this.#theirs.get(peer)?.[hosted.name] ?? [];
    const ours = hosted.methods.map(({ name }) => name);
    if (theirs.length === ours.length && theirs.every((name, method) => name === ours[method])) return null;
    return theirs.map(name => ours.indexOf(name));
  }

  unknown(peer: number, hosted: HostedType, code: number): string {
    const name = this.#theirs.get(peer)?.[hosted.name]?.[code >>> argumentBits] ?? `number ${code >>> argumentBits}`;
    return `actor type '${hosted.name}' has no method '${name}' on node ${this.#host.node}; the nodes run different versions of it`;
  }

  /** The address, if it means the same everywhere. Throws BAD_MESSAGE. */
  outward(address: [type: string, key: string]): [type: string, key: string] {
    const [type, key] = address;
    if (this.#travels(type, key)) return address;
    const what =
      key.charCodeAt(0) === 0
        ? `an actor spawned by another, of type '${type}',`
        : `${type}/${key}, with placement '${this.#host.byName.get(type)?.spec.placement}',`;
    throw new TroupeError(
      'BAD_MESSAGE',
      `${what} can only be reached on its own node; send a ref to an actor with placement 'ring'`,
    );
  }

  abroad(chain: readonly string[]): readonly string[] {
    return chain.filter(address => {
      const slash = address.indexOf('/');
      return this.#travels(address.slice(0, slash), address.slice(slash + 1));
    });
  }

  #travels(type: string, key: string): boolean {
    const placement = this.#host.byName.get(type)?.spec.placement;
    return key.charCodeAt(0) !== 0 && (placement === undefined || placement === 'ring' || placement === 'node');
  }
}
