// Actors that fail in every way, under every kind of supervision.

import { Actor, type DeactivateReason } from '../../../src/runtime/actor.ts';
import { type ActorOptions, type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import type { AnyRef, Ref } from '../../../src/runtime/refs.ts';
import { GateT } from './gate.ts';

/** What happened to the actors of a test, in order: outside of them, because they die. Keys keep tests apart. */
export const lives = new Map<string, string[]>();
export function lived(key: string): string[] {
  let list = lives.get(key);
  if (list === undefined) {
    list = [];
    lives.set(key, list);
  }
  return list;
}

export interface PatientState {
  n: number;
  props?: unknown;
}

export class Patient extends Actor<PatientState> {
  /** How often onActivate() is to throw: set by the tests, by key. */
  static readonly sick = new Map<string, number>();
  override initial(props?: unknown): PatientState {
    return props === undefined ? { n: 0 } : { n: 0, props };
  }
  protected get story(): string[] {
    const props = this.state?.props as { story?: string } | undefined;
    return lived(props?.story ?? this.self.key);
  }
  override onActivate(): unknown {
    this.story.push(`up ${this.state.n}`);
    const left = Patient.sick.get(this.self.key) ?? 0;
    if (left === 0) return undefined;
    Patient.sick.set(this.self.key, left - 1);
    if (this.self.key.includes('async')) return Promise.reject(new Error('sick, later'));
    throw new Error('sick');
  }
  override onDeactivate(why: DeactivateReason): unknown {
    this.story.push(`down ${why}`);
    if (this.self.key.includes('bad-end')) throw new Error('cannot even leave');
    return undefined;
  }
  add(by: number): number {
    this.state.n += by;
    return this.state.n;
  }
  fail(message: string): never {
    this.state.n += 100;
    throw new Error(message);
  }
  async failLater(message: string): Promise<never> {
    await this.self.ref(GateT, 'gate').pass(message);
    throw new Error(message);
  }
  async wait(name: string): Promise<string> {
    await this.self.ref(GateT, 'gate').pass(name);
    return name;
  }
  async save1(): Promise<number> {
    this.state.n = 1;
    await this.save();
    return this.self.epoch;
  }
  epoch(): number {
    return this.self.epoch;
  }
  end(): string {
    this.self.stop();
    return 'ending';
  }
  endAndFail(): never {
    this.self.stop();
    throw new Error('on the way out');
  }
  aborted(): boolean {
    return this.self.signal.aborted;
  }
  tick(): void {
    this.story.push('tick');
  }
  tickSoon(ms: number): void {
    this.self.after(ms, 'tick');
  }
}
const define = (type: string, options: Partial<ActorOptions<Patient>> = {}): ActorType<Patient> =>
  defineActor(import.meta.url, Patient, { type, turns: { wait: 'interleave' }, ...options });

const backoffMs = [100, 400] as const;
export const ResumeT: ActorType<Patient> = define('resume', { supervise: { onError: 'resume' } });
export const DefaultT: ActorType<Patient> = define('default');
export const RestartT: ActorType<Patient> = define('restart', {
  supervise: { onError: 'restart', max: 3, withinMs: 10_000, backoffMs },
});
export const KeptT: ActorType<Patient> = define('kept', {
  persist: 'snapshot',
  saves: 'explicit',
  supervise: { onError: 'restart', max: 3, withinMs: 10_000, backoffMs },
});
export const StopT: ActorType<Patient> = define('stop', { supervise: { onError: 'stop' } });
export const EscalateT: ActorType<Patient> = define('escalate', { supervise: { onError: 'escalate' } });
export const ChildT: ActorType<Patient> = define('child');

/** A parent whose children are patients, and who writes down what it hears of them. */
export class Family extends Actor<{ heard: string[]; n: number }> {
  private children: Ref<Patient>[] = [];
  private unwatch: (() => void) | undefined;
  override initial(): { heard: string[]; n: number } {
    return { heard: [], n: 0 };
  }
  override onDeactivate(why: DeactivateReason): void {
    lived(this.self.key).push(`family down ${why}`);
  }
  bear(kind: 'child' | 'escalate' | 'stop' | 'restart', props?: unknown): AnyRef {
    const child = this.self.spawn({ child: ChildT, escalate: EscalateT, stop: StopT, restart: RestartT }[kind], props);
    this.children.push(child);
    this.unwatch = this.self.watch(child, ({ id, reason }) => {
      this.state.heard.push(`${id.split('/')[0]} ${reason}`);
    });
    return child;
  }
  watch(ref: AnyRef): void {
    this.unwatch = this.self.watch(ref, ({ id, reason }) => {
      this.state.heard.push(`${id} ${reason}`);
    });
  }
  forget(): void {
    this.unwatch?.();
  }
  /** Watches, hears, and forgets in one turn, while the news is on its way. */
  async forgetInTime(name: string): Promise<void> {
    await this.self.ref(GateT, 'gate').pass(name);
    this.unwatch?.();
  }
  ask(which: number, method: 'add' | 'fail' | 'end', argument: never): Promise<unknown> {
    return (this.children[which] as Ref<Patient>)[method](argument);
  }
  failToo(): never {
    throw new Error('parent');
  }
  grow(): number {
    return ++this.state.n;
  }
  heard(): string[] {
    return this.state.heard;
  }
  stopNow(): void {
    this.self.stop();
  }
}
export const FamilyT: ActorType<Family> = defineActor(import.meta.url, Family, { type: 'family' });
export const StrictFamilyT: ActorType<Family> = defineActor(import.meta.url, Family, {
  type: 'strict-family',
  supervise: { onError: 'restart', backoffMs: [0, 0] },
});
export const patients: ActorType<any>[] = [
  ResumeT,
  DefaultT,
  RestartT,
  KeptT,
  StopT,
  EscalateT,
  ChildT,
  FamilyT,
  StrictFamilyT,
  GateT,
];
