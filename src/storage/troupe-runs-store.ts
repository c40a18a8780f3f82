// The runs as one thread sees them, and which of them hold what of a shard: the manifest, read again when its generation has turned.
//
// Its files are removed when all threads have closed it, so each says how far it has come (SharedWords.tellLook), and looks now and then
// also when nobody reads (refresh).
//
// Invariant: a run that the manifest does not name any more is read until the last walk through it has ended, and no longer.

import { nameOf } from './key.ts';
import type { Stream } from './newest.ts';
import type { ManifestShard } from './runs/manifest-format.ts';
import type { ManifestStore } from './runs/manifest-store.ts';
import type { RunShard } from './runs/run-format.ts';
import { type RunRecord, RunStore } from './runs/run-store.ts';
import type { SharedWords } from './shared-words.ts';
import type { TroupePlace } from './troupe-place.ts';

/** A run, as far as one shard is concerned. */
export interface RunPart {
  readonly run: RunStore;
  readonly lsnMax: number;
}

export class TroupeRuns {
  readonly #dir: string;
  readonly #manifest: ManifestStore;
  readonly #words: SharedWords;
  readonly #thread: number;
  readonly #runs = new Map<number, RunStore>();
  /** Not named any more, and walked through still. */
  readonly #leaving = new Set<RunStore>();
  #generation = -1;
  #shards: ReadonlyMap<string, ManifestShard> = new Map();
  #parts: ReadonlyMap<number, readonly RunPart[]> = new Map();

  constructor(dir: string, manifest: ManifestStore, words: SharedWords, thread: number) {
    this.#dir = dir;
    this.#manifest = manifest;
    this.#words = words;
    this.#thread = thread;
  }

  names(): string[] {
    this.#readAgain();
    return [...this.#shards.keys()].filter(name => importOf(name) === undefined);
  }

  /** Brings what is known of a shard up to date. */
  look(name: string, at: TroupePlace): void {
    this.#readAgain();
    const known = this.#shards.get(name);
    const number = known?.number ?? 0;
    at.fence = Math.max(number === at.number ? at.fence : 0, known?.fence ?? 0);
    at.number = number;
    at.runs = this.#parts.get(number) ?? [];
    at.seen = this.#generation;
  }

  /** Closes what is not needed any more, also where nobody reads: else a thread would keep files that could be removed. */
  refresh(): void {
    if (this.#generation === -1) return;
    try {
      this.#readAgain();
      this.#tellLook();
    } catch {
      // Who reads next hears what is wrong with the manifest.
    }
  }

  /** Gives shards their numbers. */
  async add(names: readonly string[]): Promise<void> {
    await this.#manifest.addShards(names);
    this.#words.turnGeneration();
  }

  async drop(name: string): Promise<void> {
    if ((await this.#manifest.dropShard(name)) !== undefined) this.#words.turnGeneration();
  }

  /** A number under which an import may write; nobody reads there yet. */
  async reserve(name: string): Promise<number> {
    const number = await this.#manifest.reserve('shard');
    await this.#manifest.edit({ names: [[importName(name, number), number]] });
    return number;
  }

  async point(name: string, number: number): Promise<void> {
    await this.#manifest.edit({
      names: [
        [importName(name, number), undefined],
        [name, number],
      ],
    });
    this.#words.turnGeneration();
  }

  async abandon(name: string, number: number): Promise<void> {
    await this.#manifest.edit({ names: [[importName(name, number), undefined]] });
  }

  walk(run: RunStore, shard: number, from: Uint8Array | undefined, to: Uint8Array | undefined): Stream {
    return new RunStream(run.walk(shard, from, to));
  }

  describe(): object {
    this.#readAgain();
    const described = (runs: Iterable<RunStore>): object[] => Array.from(runs, run => run.describe());
    return { shards: this.#shards.size, runs: described(this.#runs.values()), leaving: described(this.#leaving) };
  }

  async close(): Promise<void> {
    for (const run of [...this.#runs.values(), ...this.#leaving]) run.close();
    this.#runs.clear();
    this.#leaving.clear();
    this.#words.endLook(this.#thread);
    await this.#manifest.close();
  }

  #readAgain(): void {
    const { generation } = this.#words;
    if (generation === this.#generation) return;
    if (this.#generation === -1) this.#words.tellLook(this.#thread, generation);
    this.#manifest.refresh();
    const { shards, runs } = this.#manifest.state();
    const named = new Set(runs.map(({ id }) => id));
    for (const [id, run] of this.#runs) {
      if (named.has(id)) continue;
      this.#runs.delete(id);
      run.retire();
      this.#leaving.add(run);
    }
    const parts = new Map<number, RunPart[]>();
    for (const info of runs) {
      const run = this.#runs.get(info.id) ?? new RunStore(this.#dir, info, () => this.#words.tellDoubt());
      run.askFilterAgain();
      this.#runs.set(info.id, run);
      for (const shard of info.shards) addPart(parts, run, shard);
    }
    for (const list of parts.values()) list.sort((a, b) => b.lsnMax - a.lsnMax);
    this.#shards = shards;
    this.#parts = parts;
    this.#generation = generation;
    this.#tellLook();
  }

  #tellLook(): void {
    for (const run of this.#leaving) if (run.isClosed) this.#leaving.delete(run);
    if (this.#leaving.size === 0) this.#words.tellLook(this.#thread, this.#generation);
  }
}

/** Under this name the manifest keeps the number of an import that is not whole; no shard can be called so. */
function importName(shard: string, number: number): string {
  return `~${shard}~${number}`;
}

/** The shard that an import will be; undefined for the name of a shard. */
export function importOf(name: string): string | undefined {
  return name.startsWith('~') ? name.slice(1, name.lastIndexOf('~')) : undefined;
}

function addPart(parts: Map<number, RunPart[]>, run: RunStore, { number, records, deletes, maxLsn }: RunShard): void {
  if (records + deletes === 0) return;
  const list = parts.get(number);
  if (list) list.push({ run, lsnMax: maxLsn });
  else parts.set(number, [{ run, lsnMax: maxLsn }]);
}

class RunStream implements Stream {
  name: string | undefined;
  rank = 0;
  private record: Uint8Array | undefined;
  private readonly records: IterableIterator<RunRecord>;

  constructor(records: IterableIterator<RunRecord>) {
    this.records = records;
    this.advance();
  }

  take(): Uint8Array | undefined {
    return this.record;
  }

  advance(): void {
    const next = this.records.next();
    if (next.done) {
      this.name = undefined;
      return;
    }
    this.name = nameOf(next.value.key);
    this.rank = next.value.lsn;
    this.record = next.value.record;
  }

  end(): void {
    this.name = undefined;
    this.records.return?.();
  }
}
