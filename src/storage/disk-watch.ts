// Says when the free space of a disk falls below the low water, once each time. Pure: it is told what there is.
//
//     free  ─────╲                ╱────          low again only after it was above by a sixteenth: space that comes
//     lowWater ───╳──────────────╱──────         and goes by a page would otherwise be told a hundred times
//                 low            no longer

/** How far above the low water counts as recovered, as a part of it. */
const recovered = 1 + 1 / 16;

export class DiskWatch {
  readonly lowWater: number;
  freeBytes: number | undefined;
  low = false;

  /** 0: the guard is off, and nothing is ever low. */
  constructor(lowWater: number) {
    this.lowWater = lowWater;
  }

  /** True when it has just become low. */
  sees(freeBytes: number): boolean {
    this.freeBytes = freeBytes;
    const was = this.low;
    this.low = freeBytes < this.lowWater * (was ? recovered : 1);
    return this.low && !was;
  }

  describe(): { freeBytes: number | null; lowWater: number; low: boolean } {
    return { freeBytes: this.freeBytes ?? null, lowWater: this.lowWater, low: this.low };
  }
}
