// Senders under way while nodes are killed, stopped and cut off: one line after the other, each to its end, whatever that is.

import { Died, Refused } from '../../src/doors/tour/member.ts';
import type { BookOracle } from './book-oracle.ts';
import type { ProcessNode } from './process-node.ts';

/** What an ask may end with when the node it goes to is in trouble. Anything else fails the test. */
const expected = ['FENCED', 'OVERLOADED', 'DEADLINE', 'UNKNOWN_OUTCOME', 'STOPPED', 'DIED'];
const deadlineMs = 3_000;
/** An ask that ends so much after its deadline hangs. Far above it, because the machine may be busy. */
const hangsMs = 12_000;
/** Between two tries of what was refused at once. */
const retryMs = 10;

export class Writers {
  readonly oracle: BookOracle;
  readonly troubles: string[] = [];
  /** Asks by how they ended: 'ok', or a code. */
  readonly ends: Record<string, number> = {};
  readonly #work: Promise<void>[] = [];
  readonly #failures = new Map<string, number>();
  #over = false;

  constructor(oracle: BookOracle) {
    this.oracle = oracle;
  }

  /** `insists`: writes each line until it is acknowledged, under an opId; else a line that failed is not tried again. */
  begin(node: ProcessNode, unit: string, insists: boolean): void {
    this.#work.push(this.#write(node, unit, insists));
  }

  /** Asks of that node to that unit that did not end well so far. */
  failures(node: ProcessNode, unit: string): number {
    return this.#failures.get(`${node.name} ${unit}`) ?? 0;
  }

  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#work);
  }

  async #write(node: ProcessNode, unit: string, insists: boolean): Promise<void> {
    const sender = `${node.name}${insists ? '!' : ''}`;
    for (let n = 0; !this.#over; n++) {
      const options = { deadlineMs, ...(insists ? { opId: `${sender}-${n}` } : {}) };
      for (let mayBe = false; ; ) {
        const ended = await this.#once(node, unit, sender, n, options);
        if (typeof ended === 'number') {
          this.oracle.ended(unit, sender, n, ended);
          break;
        }
        mayBe ||= ended === 'unknown';
        this.#failures.set(`${node.name} ${unit}`, this.failures(node, unit) + 1);
        this.oracle.ended(unit, sender, n, mayBe ? 'unknown' : 'failed');
        await new Promise(resolve => setTimeout(resolve, retryMs));
        if (!insists || this.#over) break;
      }
    }
  }

  async #once(
    node: ProcessNode,
    unit: string,
    sender: string,
    n: number,
    options: object,
  ): Promise<number | 'failed' | 'unknown'> {
    const began = performance.now();
    let code = 'ok';
    try {
      return await node.ask('write', unit, sender, n, options);
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Died)) throw error;
      code = error.code;
      if (!expected.includes(code)) this.troubles.push(`line ${n} of ${sender} to ${unit}: ${code} ${error.message}`);
      return error.outcome as 'failed' | 'unknown';
    } finally {
      const tookMs = performance.now() - began;
      if (tookMs > hangsMs && !node.hasStood)
        this.troubles.push(`line ${n} of ${sender} to ${unit} took ${Math.round(tookMs)} ms (${code})`);
      this.ends[code] = (this.ends[code] ?? 0) + 1;
    }
  }
}
