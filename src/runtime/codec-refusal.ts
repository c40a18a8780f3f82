// Says where and why a value cannot be sent: "argument 0 .items[3].fn is a function". Only called after the writer has
// refused, so the writer keeps no path and this walk may be slow.
//
// Invariant: it visits in the writer's order and asks the writer's questions, so what it finds is what was refused.

import { types } from 'node:util';
import { TroupeError } from '../errors.ts';
import { depthMax, keyBytesMax } from '../limits.ts';
import { isBytes, isMap, isPlainArray, isPlainObject, isSet, type RefWriting } from './codec-writer.ts';
import { elementKindOf, isDate, isDetached } from './wire-ext.ts';

/** A path step longer than this is cut: keys may be as long as a message. */
const stepCharsMax = 64;

interface Finding {
  readonly path: string;
  readonly why: string;
}

/** `root` names the value in the message: 'argument 0', 'the state'. */
export function refusalOf(root: string, value: unknown, refs: RefWriting): TroupeError {
  const found = new Search(refs).visit(value, '');
  const where = found === undefined || found.path === '' ? root : `${root} ${found.path}`;
  const why = found?.why ?? 'changed while it was being written';
  return new TroupeError('BAD_MESSAGE', `${where} ${why}`, { details: { path: found?.path ?? '' } });
}

/** A getter, a proxy or a ref that throws while it is written. */
export function unreadable(root: string, error: unknown): TroupeError {
  if (error instanceof TroupeError) return error;
  const message = error instanceof Error ? error.message : typeof error;
  return new TroupeError('BAD_MESSAGE', `${root} cannot be read: ${message}`, { cause: error });
}

/** Of an answer: the turn has run, and what it has changed stays. Whoever asked must not take it for not done. */
export function unanswerable(error: unknown): unknown {
  if (!(error instanceof TroupeError)) return error;
  const why = error.message.replace(/^(argument 0|the value)\b ?/, 'it ');
  const message = `the turn has run, and what it returned cannot be sent: ${why}`;
  return new TroupeError(error.code, message, { outcome: 'unknown', details: error.details, cause: error });
}

class Search {
  private readonly refs: RefWriting;
  /** The containers around the value, outermost first, and their paths. */
  private readonly around: object[] = [];
  private readonly paths: string[] = [];

  constructor(refs: RefWriting) {
    this.refs = refs;
  }

  visit(value: unknown, path: string): Finding | undefined {
    if (typeof value === 'symbol') return { path, why: 'is a symbol' };
    if (typeof value === 'function') {
      return this.refs.isRef(value) ? this.longRef(value, path) : { path, why: nameOfFunction(value) };
    }
    if (typeof value !== 'object' || value === null) return undefined;

    const seenAt = this.around.indexOf(value);
    if (seenAt >= 0) return { path, why: `is circular: it is ${this.paths[seenAt] || 'the value itself'} again` };
    if (types.isProxy(value) && (Array.isArray(value) || !this.refs.isRef(value))) return { path, why: 'is a Proxy' };
    if (Array.isArray(value)) {
      if (!isPlainArray(value)) return { path, why: strange(value) };
      return this.within(value, path, () => this.first(value, (item, i) => this.visit(item, `${path}[${i}]`)));
    }
    if (this.refs.isRef(value)) return this.longRef(value, path);
    if (isPlainObject(value)) {
      const object = value as Record<string, unknown>;
      return this.within(value, path, () =>
        this.first(Object.keys(object), key => this.visit(object[key], path + step(key))),
      );
    }
    return this.visitOther(value, path);
  }

  private visitOther(value: object, path: string): Finding | undefined {
    if (ArrayBuffer.isView(value) && (isBytes(value) || elementKindOf(value) !== undefined)) {
      return isDetached(value) ? { path, why: 'has been transferred away' } : undefined;
    }
    if (isDate(value)) return undefined;
    if (isMap(value)) {
      return this.within(value, path, () =>
        this.first(
          [...value],
          ([key, item], i) => this.visit(key, `${path}.key(${i})`) ?? this.visit(item, `${path}.get(${show(key, i)})`),
        ),
      );
    }
    if (isSet(value)) {
      return this.within(value, path, () =>
        this.first([...value], (item, i) => this.visit(item, `${path}.item(${i})`)),
      );
    }
    return { path, why: strange(value) };
  }

  private within(value: object, path: string, search: () => Finding | undefined): Finding | undefined {
    // A circle is found before this: it comes back to where it began within as many levels as it is long, and a longer
    // one than depthMax is too deep as well.
    if (this.around.length >= depthMax) return { path, why: `is nested deeper than ${depthMax} levels` };
    this.around.push(value);
    this.paths.push(path);
    const found = search();
    this.around.pop();
    this.paths.pop();
    return found;
  }

  private first<T>(items: readonly T[], find: (item: T, index: number) => Finding | undefined): Finding | undefined {
    for (let i = 0; i < items.length; i++) {
      const found = find(items[i] as T, i);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  private longRef(ref: object, path: string): Finding | undefined {
    const [type, key] = this.refs.encodeRef(ref);
    if (Buffer.byteLength(key) > keyBytesMax) return { path, why: `is a ref whose key is above ${keyBytesMax} bytes` };
    return Buffer.byteLength(type) > 0xff ? { path, why: 'is a ref whose type is above 255 bytes' } : undefined;
  }
}

const step = (key: string): string =>
  /^[A-Za-z_$][\w$]*$/.test(key) && key.length <= stepCharsMax ? `.${key}` : `[${quoted(key)}]`;

const quoted = (text: string): string =>
  text.length > stepCharsMax ? `${JSON.stringify(text.slice(0, stepCharsMax))}...` : JSON.stringify(text);

const show = (key: unknown, index: number): string =>
  typeof key === 'string' ? quoted(key) : typeof key === 'number' ? String(key) : `key ${index}`;

const nameOfFunction = (fn: unknown): string =>
  /^class\b/.test(Function.prototype.toString.call(fn)) ? 'is a class' : 'is a function';

/** An instance of a class, or something that was given another prototype. */
function strange(value: object): string {
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null;
  const name = prototype?.constructor?.name;
  if (typeof name !== 'string' || name === '' || name === 'Object') return 'has a prototype of its own';
  return `is an instance of ${name}`;
}
