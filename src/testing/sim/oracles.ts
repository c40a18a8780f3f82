// Who knows better: each oracle is told what was promised and what was seen, from outside of the cluster, and names what does
// not go together. None of them knows how anything is done.

/** What somebody who asked was told. 'unknown' is honest when it may have been done or not. */
export type Told = 'ok' | 'failed' | 'unknown';

/** 'doubtful': open when a disk lost something, perhaps its record. */
type Known = Told | 'open' | 'doubtful' | 'excused';

const surest: readonly Known[] = ['open', 'doubtful', 'failed', 'unknown', 'ok', 'excused'];

/**
 * Sets to which each operation adds its own id: Must and May. Told ok: it must be there. Told failed: it must not. Told
 * unknown: it may. Twice is wrong whatever was told.
 */
export class AckedOracle {
  readonly #told = new Map<string, Map<string, Known>>();

  begin(set: string, id: string): void {
    let known = this.#told.get(set);
    if (known === undefined) {
      known = new Map();
      this.#told.set(set, known);
    }
    if (!known.has(id)) known.set(id, 'open');
  }

  /** Of several tries of one operation the surest word counts. */
  end(set: string, id: string, told: Told): void {
    const known = this.#told.get(set);
    const before = known?.get(id);
    if (before === undefined || surest.indexOf(told) <= surest.indexOf(before)) return;
    known?.set(id, before === 'doubtful' && told === 'ok' ? 'excused' : told);
  }

  /** A disk has lost what nobody else has: what was acknowledged by now may be gone, or what was just written to be so. */
  excuse(isLost: (set: string, id: string) => boolean): void {
    for (const [set, known] of this.#told)
      for (const [id, told] of known) {
        if ((told !== 'ok' && told !== 'open') || !isLost(set, id)) continue;
        known.set(id, told === 'ok' ? 'excused' : 'doubtful');
      }
  }

  /** What a set holds once everything is at rest. */
  check(set: string, found: readonly string[]): string[] {
    const wrong: string[] = [];
    const counts = new Map<string, number>();
    for (const id of found) counts.set(id, (counts.get(id) ?? 0) + 1);
    const known = this.#told.get(set) ?? new Map<string, Known>();
    for (const [id, told] of known) {
      const count = counts.get(id) ?? 0;
      if (told === 'ok' && count === 0) wrong.push(`${set}: ${id} was acknowledged and is lost`);
      if (told === 'failed' && count > 0) wrong.push(`${set}: ${id} was told failed and is there`);
      if (count > 1) wrong.push(`${set}: ${id} is there ${count} times`);
    }
    for (const id of counts.keys()) if (!known.has(id)) wrong.push(`${set}: ${id} was never written`);
    return wrong;
  }

  sets(): readonly string[] {
    return [...this.#told.keys()];
  }
}

/** What one sender sends to one receiver arrives in its order and once. Gaps are for the other oracle. */
export class FifoOracle {
  readonly #last = new Map<string, number>();

  /** `sender` is one life of a sender. */
  delivered(sender: string, receiver: string, sequence: number): string | undefined {
    const flow = `${sender} -> ${receiver}`;
    const last = this.#last.get(flow) ?? 0;
    if (sequence > last) {
      this.#last.set(flow, sequence);
      return undefined;
    }
    return `${flow}: ${sequence} came ${sequence === last ? 'twice' : `after ${last}`}`;
  }
}

/**
 * One activation at a time, and fences: an epoch belongs to one activation; once a write of a higher epoch was accepted, no
 * write of a lower one is.
 */
export class ActivationOracle {
  readonly #owner = new Map<string, string>();
  readonly #written = new Map<string, number>();

  /** `by` names one life of one process. */
  runs(key: string, epoch: number, by: string): string | undefined {
    const slot = `${key} under epoch ${epoch}`;
    const other = this.#owner.get(slot);
    this.#owner.set(slot, by);
    return other === undefined || other === by ? undefined : `${slot} runs in ${by} and ran in ${other}`;
  }

  accepted(key: string, epoch: number): string | undefined {
    const highest = this.#written.get(key) ?? 0;
    if (epoch < highest) return `${key}: a write of epoch ${epoch} was accepted after one of ${highest}`;
    this.#written.set(key, epoch);
    return undefined;
  }

  /** The disk is empty: whoever begins there knows of no epoch. */
  excuse(belongs: (key: string) => boolean): void {
    for (const key of this.#written.keys()) if (belongs(key)) this.#written.delete(key);
    for (const slot of this.#owner.keys()) if (belongs(slot)) this.#owner.delete(slot);
  }
}

/** Versions of the ring: they rise in each life of a node, and in the end everybody holds the same. */
export class AgreementOracle {
  readonly #last = new Map<string, { readonly version: number; readonly view: string }>();

  saw(member: string, version: number, view: string): string | undefined {
    const before = this.#last.get(member);
    this.#last.set(member, { version, view });
    if (before === undefined || before.version < version) return undefined;
    if (before.version > version) return `${member} goes back from version ${before.version} to ${version}`;
    return before.view === view ? undefined : `${member} holds two views of version ${version}`;
  }

  /** A new life may begin with an older version. */
  forget(member: string): void {
    this.#last.delete(member);
  }

  disagreement(members: readonly string[]): string | undefined {
    const [first, ...rest] = members.map(name => ({ name, last: this.#last.get(name) }));
    const other = rest.find(({ last }) => last?.version !== first?.last?.version || last?.view !== first?.last?.view);
    return other && `${first?.name} holds version ${first?.last?.version}, ${other.name} ${other.last?.version}`;
  }
}
