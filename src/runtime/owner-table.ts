// Where one host believes each unit lives. A cache: the directory knows better and corrects it by broadcast.
//
// Invariants: the epoch known of a unit only rises; an Owner is changed in place and never replaced while it is in the
// table, so a ref may keep it and send without a lookup; one that left the table says `nowhere`.

import { type Epoch, type HostId, nowhere, type Unit } from './relocation-messages.ts';

export interface Owner {
  readonly unit: Unit;
  /** nowhere: ask the directory. */
  host: HostId;
  epoch: Epoch;
}

/** Routes looked at for one that may go. What is passed over moves to the end, so the next search starts behind it. */
const evictTriesMax = 8;

export class OwnerTable {
  readonly #owners = new Map<Unit, Owner>();
  readonly #routesMax: number;

  constructor(routesMax: number) {
    this.#routesMax = routesMax;
  }

  get size(): number {
    return this.#owners.size;
  }

  get(unit: Unit): Owner | undefined {
    return this.#owners.get(unit);
  }

  /** 0 when nothing is known. */
  epochOf(unit: Unit): Epoch {
    return this.#owners.get(unit)?.epoch ?? 0;
  }

  hostOf(unit: Unit): HostId {
    return this.#owners.get(unit)?.host ?? nowhere;
  }

  /** `mayEvict` says which routes can be found again: not our own, not those in motion. */
  learn(unit: Unit, host: HostId, epoch: Epoch, mayEvict: (owner: Owner) => boolean): void {
    const owner = this.#owners.get(unit);
    if (owner !== undefined) {
      owner.host = host;
      owner.epoch = epoch;
      return;
    }
    if (this.#owners.size >= this.#routesMax) this.#evict(mayEvict);
    this.#owners.set(unit, { unit, host, epoch });
  }

  /** The units that lived there. Their epochs stay known: what is older is still older. */
  forgetHost(host: HostId): Unit[] {
    const units: Unit[] = [];
    for (const owner of this.#owners.values()) {
      if (owner.host !== host) continue;
      owner.host = nowhere;
      units.push(owner.unit);
    }
    return units;
  }

  #evict(mayEvict: (owner: Owner) => boolean): void {
    for (let tries = 0; tries < evictTriesMax; tries++) {
      const owner = this.#owners.values().next().value as Owner;
      this.#owners.delete(owner.unit);
      if (mayEvict(owner)) {
        owner.host = nowhere;
        return;
      }
      this.#owners.set(owner.unit, owner);
    }
  }
}
