// The small files of a simulated node: what troupe.json holds of it in production. A write takes its time, and a life that is over writes nothing.

import { TroupeError } from '../../errors.ts';
import type { SimDisk } from './disk.ts';
import type { SimWorld } from './process.ts';

/** A small file, synced. */
const saveMs = 1;

export class NodeFiles {
  readonly #world: SimWorld;
  readonly #disk: SimDisk;
  isOver = false;

  constructor(world: SimWorld, disk: SimDisk) {
    this.#world = world;
    this.#disk = disk;
  }

  /** JSON; undefined: there is none. */
  read(file: string): any {
    const bytes = this.#world.files.get(file);
    return bytes && JSON.parse(new TextDecoder().decode(bytes));
  }

  number(file: string): number {
    return this.read(file) ?? 0;
  }

  /** At once. */
  keep(file: string, value: unknown): void {
    if (!this.isOver) this.#world.files.set(file, new TextEncoder().encode(JSON.stringify(value)));
  }

  async keepAtLeast(file: string, number: number): Promise<void> {
    await this.#time();
    this.keep(file, Math.max(number, this.number(file)));
  }

  /** Rejects as the file of a node does, and the old one is there. */
  async save(file: string, value: unknown): Promise<void> {
    const { name } = this.#world;
    await this.#time();
    if (this.isOver) throw new TroupeError('STOPPED', `that life of ${name} is over`);
    if (this.#disk.full) throw new TroupeError('DISK_FULL', `the disk of ${name} is full`);
    this.keep(file, value);
    this.#world.mark(`${file} stored`);
  }

  #time(): Promise<void> {
    return new Promise(done => this.#world.clock.timer(saveMs, done));
  }
}
