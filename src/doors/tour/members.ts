// The processes of the tour's cluster as its parent holds them: who they are, what all of them say, and waiting for what comes by and by.
//
// Invariant: whoever was started is killed by killAll(), whatever it does.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { countsOf } from './counts.ts';
import { freePorts } from './free-ports.ts';
import type { HandedOn } from './handover.ts';
import { Member, Refused } from './member.ts';
import type { MemberCommands, MemberTask } from './member-child.ts';
import type { View } from './view.ts';

export type TourMember = Member<MemberCommands>;

export interface MembersPlan {
  readonly dir: string;
  readonly citiesFile: string;
  readonly sample: boolean;
  readonly view: View;
  readonly signal: AbortSignal;
}

export const founders = ['n1', 'n2', 'n3'] as const;
export const fourth = 'n4';
export const everybody = [...founders, fourth] as const;
/** How long a node that is back may take until the others reach it, and a move until it is no longer refused. */
export const patienceMs = 30_000;
/** Between two looks. */
const lookMs = 20;

export class Members {
  readonly #plan: MembersPlan;
  readonly #members: ReadonlyMap<string, TourMember>;

  constructor(plan: MembersPlan, members: ReadonlyMap<string, TourMember>) {
    this.#plan = plan;
    this.#members = members;
  }

  of(name: string): TourMember {
    return this.#members.get(name) as TourMember;
  }

  async killAll(): Promise<void> {
    await Promise.all([...this.#members.values()].map(member => member.kill()));
  }

  // What all of them say.

  /** Empty: all of these go by that ring. */
  async otherRings(of: readonly string[], owners: readonly string[]): Promise<string[]> {
    const rings = await Promise.all(of.map(async name => [name, await this.of(name).ask('owners')] as const));
    return rings.flatMap(([name, ring]) =>
      ring.join() === owners.join() ? [] : [`${name} goes by another ring than it should`],
    );
  }

  /** What these have handed on since they were last asked. */
  async handed(of: readonly string[]): Promise<{ left: HandedOn[]; stayed: string[] }> {
    const news = await Promise.all(of.map(name => this.of(name).ask('handed')));
    return { left: news.flatMap(each => each.left), stayed: news.flatMap(each => each.stayed) };
  }

  async troubles(of: readonly string[]): Promise<string[]> {
    return (await Promise.all(of.map(name => this.of(name).ask('troubles')))).flat();
  }

  // Waiting.

  /** Asks until it is answered by a node that has just come back. */
  async reaches(from: string, to: string): Promise<void> {
    const n = await this.of(from).ask('oneOf', to);
    await this.insist(`${from} reaches ${to}`, () =>
      this.of(from)
        .ask('reach', n)
        .then(
          () => true,
          error => {
            if (error instanceof Refused) return false;
            throw error;
          },
        ),
    );
  }

  async sees(name: string, other: string, status: string): Promise<void> {
    const isSo = async (): Promise<boolean> =>
      (await this.of(name).ask('members')).some(each => each.name === other && each.status === status);
    await this.insist(`${name} sees ${other} ${status}`, isSo);
  }

  async insist(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const until = performance.now() + patienceMs;
    while (!(await isSo())) {
      if (performance.now() > until) throw new Error(`waited ${patienceMs / 1_000} s in vain until ${what}`);
      await this.pause();
    }
  }

  async pause(): Promise<void> {
    this.#plan.signal.throwIfAborted();
    await new Promise(resolve => setTimeout(resolve, lookMs));
  }

  async relocate(by: string, key: string, to: string): Promise<{ pausedMs: number; repeated: number }> {
    const until = performance.now() + patienceMs;
    for (let repeated = 0; ; repeated++) {
      try {
        return { ...(await this.of(by).ask('relocate', key, to)), repeated };
      } catch (error) {
        if (!(error instanceof Refused) || error.code !== 'OVERLOADED' || performance.now() > until) throw error;
        await this.pause();
      }
    }
  }

  // Showing.

  showProgress(name: string, total: number): void {
    this.of(name).onNews = done => this.#plan.view.progress(done as number, total);
  }

  async show(by: string): Promise<void> {
    const counts = countsOf(await this.of(by).ask('owners'));
    for (const { name, status, address } of await this.of(by).ask('members'))
      this.#plan.view.say(`        ${name}  ${status.padEnd(7)}  ${address}  ${counts[name] ?? 0} partitions`);
  }
}

export async function makeMembers(plan: MembersPlan): Promise<Members> {
  const { dir, citiesFile, sample, signal } = plan;
  signal.throwIfAborted();
  const addresses = (await freePorts(everybody.length)).map(port => `127.0.0.1:${port}`);
  const members = everybody.map((name, at) => {
    const task: MemberTask = {
      name,
      dataDir: join(dir, name),
      listen: addresses[at] as string,
      join: addresses.slice(0, founders.length).filter((_, other) => other !== at),
      cities: citiesFile,
      sample,
    };
    return [name, new Member<MemberCommands>(name, childFile(), task)] as const;
  });
  return new Members(plan, new Map(members));
}

/** The child's module beside this one: .ts in the sources, .js when built. */
function childFile(): string {
  const url = new URL('./member-child.js', import.meta.url);
  if (import.meta.url.endsWith('.ts')) url.pathname = url.pathname.replace(/\.js$/, '.ts');
  return fileURLToPath(url);
}
