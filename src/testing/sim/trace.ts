// What has happened: a hash of all of it, and the last events in words. Two runs with one seed have the same hash, or
// something has asked the world behind the simulator's back.

export interface TraceEvent {
  readonly atMs: number;
  /** A process, or 'sim'. */
  readonly who: string;
  readonly what: string;
}

export class Trace {
  readonly #keep: number;
  readonly #last: TraceEvent[] = [];
  readonly #names = new Map<string, number>();
  readonly #float = new Float64Array(1);
  readonly #words = new Uint32Array(this.#float.buffer);
  #next = 0;
  #low = 0x811c9dc5;
  #high = 0x9e3779b9;
  events = 0;

  constructor(keep: number) {
    this.#keep = keep;
  }

  add(atMs: number, who: string, what: string): void {
    this.events++;
    this.#float[0] = atMs;
    this.#mix(this.#words[0] as number);
    this.#mix(this.#words[1] as number);
    this.#mix(this.#numberOf(who));
    this.#mix(this.#numberOf(what));
    this.#last[this.#next] = { atMs, who, what };
    this.#next = (this.#next + 1) % this.#keep;
  }

  /** 16 hex digits. */
  get hash(): string {
    return [this.#high, this.#low].map(word => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  /** The last events, oldest first. */
  last(): readonly TraceEvent[] {
    return [...this.#last.slice(this.#next), ...this.#last.slice(0, this.#next)];
  }

  #mix(word: number): void {
    this.#low = Math.imul(this.#low ^ word, 0x01000193);
    this.#high = Math.imul(this.#high ^ (word + this.#low), 0x85ebca6b) ^ (this.#high >>> 13);
  }

  /** A number that depends on the letters only; names repeat, so each is read once while the table has room. */
  #numberOf(name: string): number {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    let hash = 0x811c9dc5;
    for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
    if (this.#names.size < namesMax) this.#names.set(name, hash);
    return hash;
  }
}

const namesMax = 4_096;

export const lineOf = ({ atMs, who, what }: TraceEvent): string => `${atMs.toFixed(3).padStart(11)}  ${who}  ${what}`;
