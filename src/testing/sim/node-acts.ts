// What has broken until now, act by act: what an oracle may ask for depends on it.

import { diskFaults } from './faults.ts';
import type { LedgerRules } from './node-oracle.ts';
import { isHarm } from './node-plan.ts';
import { isCalm } from './node-tales.ts';
import type { SimPlan } from './runner.ts';

export class ActRules implements LedgerRules {
  calm = true;
  disksFail = false;
  threadsDie = false;

  begins({ faults, operations }: Pick<SimPlan, 'faults' | 'operations'>, nth: number): void {
    const isOf = ({ act = 0 }: { act?: number }): boolean => act === nth;
    const ofIt = faults.filter(isOf);
    this.threadsDie ||= operations.filter(isOf).some(isHarm);
    this.calm &&= ofIt.every(isCalm) && !this.threadsDie;
    this.disksFail ||= ofIt.some(({ kind }) => (diskFaults as readonly string[]).includes(kind));
  }
}
