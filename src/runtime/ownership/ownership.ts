// Everything of this folder under one name, for `troupe/cores` (there it is called `ring`).

export {
  type Claimed,
  type Claimer,
  type ClaimInput,
  claim,
  claimOwners,
} from './claim.ts';
export * from './holdings.ts';
export { type Preferred, preference, preferenceByZone, preferenceUp } from './preference.ts';
export * from './ring.ts';
export * from './ring-plan.ts';
export { type Shares, sharesOf } from './shares.ts';
export * from './token-strategies.ts';
export { type ClaimWarning, describeWarning } from './warnings.ts';
