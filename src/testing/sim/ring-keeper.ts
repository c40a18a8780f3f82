// The ring as one process of the scenario keeps it: takes the better of two, and writes the next one when it is its turn. It stands
// where the actor of the ring will stand, and does of it what the cores of ownership/ decide.
//
//     up and not in the ring ──plan, commit──▶ next: [...] ──one transfer a turn──▶ next: []        removed ──▶ leaving ──▶ forgotten

import type { AppState } from '../../runtime/membership/member.ts';
import { claimOwners } from '../../runtime/ownership/claim.ts';
import { adopt, claimantOf, emptyRing, type Ring, type RingMember, ringHash } from '../../runtime/ownership/ring.ts';
import {
  type Changes,
  commit,
  complete,
  forget,
  isRefusal,
  plan,
  startable,
} from '../../runtime/ownership/ring-plan.ts';

const partitions = 16;

export interface Members {
  readonly up: ReadonlySet<string>;
  readonly removed: ReadonlySet<string>;
}

export class RingKeeper {
  ring: Ring;
  readonly #name: string;
  /** Who writes the first ring. */
  readonly #first: string;
  readonly #seen = new Map<string, string>();

  constructor(options: { name: string; first: string; stored: string | undefined }) {
    this.#name = options.name;
    this.#first = options.first;
    const empty = emptyRing({ cluster: 'sim', partitions, claimant: options.first });
    this.ring = options.stored === undefined ? empty : (JSON.parse(options.stored) as Ring);
  }

  get app(): AppState {
    return { epoch: this.ring.epoch, hash: ringHash(this.ring), blob: JSON.stringify(this.ring) };
  }

  /** What a member says it holds. True: this process holds it too from now on. */
  heard(member: string, app: AppState): boolean {
    this.#seen.set(member, app.hash);
    const { ring, adoption } = adopt(this.ring, JSON.parse(app.blob) as Ring);
    this.ring = ring;
    return adoption === 'adopted';
  }

  /** One step of whoever writes the next ring. True: there is a next ring. */
  turn(members: Members): boolean {
    const { ring } = this;
    const isUp = (name: string): boolean => name === this.#name || members.up.has(name);
    const claimant = ring.epoch === 0 ? this.#first : claimantOf(ring, isUp);
    if (claimant !== this.#name) return false;
    const next = this.#next(ring, members, isUp);
    if (next === undefined) return false;
    this.ring = next;
    return true;
  }

  #next(ring: Ring, { up, removed }: Members, isUp: (name: string) => boolean): Ring | undefined {
    const [transfer] = startable(ring, [], isUp);
    if (transfer !== undefined) {
      const completed = complete(ring, transfer, this.#name);
      return isRefusal(completed) ? undefined : completed;
    }
    const gone = ring.members.find(({ status }) => status === 'exiting');
    if (gone !== undefined) return forget(ring, gone.name, this.#name);
    const known = new Set(ring.members.map(({ name }) => name));
    const join = [...new Set([this.#name, ...up])].filter(name => !known.has(name)).map(name => ({ name }));
    const leave = ring.members.filter(({ name, status }) => status === 'valid' && removed.has(name));
    const changes: Changes = { join, leave: leave.map(({ name }) => name) };
    const planned = plan(ring, changes);
    if (isRefusal(planned)) return undefined;
    this.#seen.set(this.#name, ringHash(ring));
    const committed = commit(ring, planned, this.#name, this.#seen);
    return isRefusal(committed) ? undefined : committed;
  }

  /** What this process would give to whom, told the members in an order of its own. */
  claimed(order: (name: string) => number): { input: string; owners: readonly string[] } {
    const members = this.ring.members.filter(({ status }) => status === 'valid');
    const owners = this.ring.owners;
    const shuffled: RingMember[] = members.toSorted((a, b) => order(a.name) - order(b.name));
    return {
      input: JSON.stringify([members.map(({ name }) => name), owners]),
      owners: claimOwners({ owners, members: shuffled }).owners,
    };
  }
}
