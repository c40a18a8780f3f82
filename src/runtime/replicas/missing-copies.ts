// Partitions of this node that fewer nodes keep than were asked for: counted for whoever looks, and told when it lasts.
//
//     whole ──some have fewer──▶ noticed ──for copiesMissingMs──▶ told ──none has──▶ whole, and that is told
//                                   └──────────none has───────────▶ whole
//
// Intuition: each partition has fewer for a moment when it is new here, and when a follower has lost its link: that is nobody's business.
// A member that is missing, or down with nobody to take its place, is.

import { copiesMissingMs } from '../../limits.ts';
import type { Host } from '../host.ts';
import type { Ring } from '../ownership/ring.ts';

export class MissingCopies {
  readonly #host: Host;
  readonly #asked: number;
  #partitions = 0;
  #since: number | undefined;
  #isTold = false;

  constructor(host: Host, asked: number) {
    this.#host = host;
    this.#asked = asked;
  }

  look({ owners }: Ring, copiesOf: (partition: number) => number): void {
    const { node } = this.#host;
    const now = this.#host.now();
    this.#partitions = owners.filter((owner, partition) => owner === node && copiesOf(partition) < this.#asked).length;
    if (this.#partitions === 0) this.#since = undefined;
    else this.#since ??= now;
    const isLasting = this.#since !== undefined && now - this.#since >= copiesMissingMs;
    if (this.#isTold ? this.#partitions === 0 : isLasting) this.#tell();
  }

  #tell(): void {
    this.#isTold = !this.#isTold;
    const { events, world } = this.#host;
    const told = { partitions: this.#partitions, asked: this.#asked };
    events.emit('copies-missing', told);
    if (this.#isTold) world.log.warn(told, 'partitions of this node have fewer copies than asked for');
    else world.log.info(told, 'all partitions of this node have as many copies as asked for again');
  }

  describe(): object {
    return { asked: this.#asked, missing: this.#partitions };
  }
}
