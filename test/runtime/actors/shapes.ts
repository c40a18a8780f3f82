// Actors whose methods have every shape of arguments and results, and names that try to be something else.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import type { AnyRef, Ref } from '../../../src/runtime/refs.ts';

export class Shapes extends Actor<{ calls: unknown[][] }> {
  static side = 0;
  override initial(): { calls: unknown[][] } {
    return { calls: [] };
  }
  none(): number {
    // biome-ignore lint/complexity/noArguments: how many arguments really came is the point
    return arguments.length;
  }
  one(a: unknown): unknown[] {
    return [a];
  }
  two(a: unknown, b: unknown): unknown[] {
    return [a, b];
  }
  three(a: number, b: string, c: boolean): [number, string, boolean] {
    return [a, b, c];
  }
  four(a: unknown, b: unknown, c: unknown, d: unknown): unknown[] {
    return [a, b, c, d];
  }
  five(a: unknown, b: unknown, c: unknown, d: unknown, e: unknown): unknown[] {
    return [a, b, c, d, e];
  }
  byDefault(a = 'a', b = 'b', c = 'c'): string {
    return a + b + c;
  }
  rest(first: string, ...others: number[]): { first: string; others: number[] } {
    return { first, others };
  }
  /** How many arguments a caller really passed: trailing undefined ones count. */
  count(..._all: unknown[]): number {
    // biome-ignore lint/complexity/noArguments: how many arguments really came is the point
    return arguments.length;
  }
  note(...args: unknown[]): void {
    this.state.calls.push(args);
  }
  maybe(value?: number): number | undefined {
    return value;
  }
  async later(value: string): Promise<string> {
    return value;
  }
  nested(value: string): Promise<string> | PromiseLike<string> {
    return Promise.resolve(Promise.resolve(value));
  }
  me(): AnyRef {
    return this.self.ref();
  }
  introduce(other: Ref<Shapes>): Promise<string> {
    return other.later('hello');
  }
  keep(ref: AnyRef): void {
    this.state.calls = [[ref]];
  }
  async useKept(): Promise<string> {
    return ((this.state.calls[0] as unknown[])[0] as Ref<Shapes>).later('kept');
  }
  /** Not thenable, whatever it looks like: must not be awaited. */
  thenish(): { then: string } {
    // biome-ignore lint/suspicious/noThenProperty: exactly what must not be taken for a promise
    return { then: 'a word' };
  }
  /** A function that returns a promise without being declared async. */
  promised(value: string): Promise<string> {
    return new Promise(resolve => setImmediate(resolve, value));
  }
  get secret(): () => string {
    Shapes.side++;
    return () => 'secret';
  }
  #hidden(): string {
    return 'hidden';
  }
  usesHidden(): string {
    return this.#hidden();
  }
}
export const ShapesT: ActorType<Shapes> = defineActor(import.meta.url, Shapes, { type: 'shapes' });

const long = 'n'.repeat(10_240);

export class Base extends Actor<{ by: string[] }> {
  override initial(): { by: string[] } {
    return { by: [] };
  }
  inherited(): string {
    return 'base';
  }
  overridden(): string {
    return 'base';
  }
  hiddenLater(): string {
    return 'base';
  }
}

/** Inherits, overrides, hides, and is called by strange names. */
export class Derived extends Base {
  override overridden(): string {
    return `derived over ${super.overridden()}`;
  }
  override toString(): string {
    return 'an actor that prints itself';
  }
  override valueOf(): number {
    return 7;
  }
  toJSON(): string {
    return 'json';
  }
  ''(): string {
    return 'empty';
  }
  'with space'(): string {
    return 'space';
  }
  [Symbol.iterator](): Iterator<number> {
    return [1][Symbol.iterator]();
  }
}
// A name that no source file would hold, and a subclass that takes a method away.
Object.defineProperty(Derived.prototype, long, { value: () => 'long' });
Object.defineProperty(Derived.prototype, 'hiddenLater', { get: () => 'no function', configurable: true });

export const DerivedT: ActorType<Derived> = defineActor(import.meta.url, Derived, { type: 'derived' });
export const longName: string = long;
