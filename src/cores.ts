// 'troupe/cores': the pure parts, for people who build their own. Each takes `now` as an argument and touches nothing.

export * as context from './actors/context.ts';
export * as dvv from './actors/dvv.ts';
export * as hlc from './actors/hlc.ts';
export * as readQuorum from './actors/read-quorum.ts';
export * as writeQuorum from './actors/write-quorum.ts';
export * as directory from './runtime/directory.ts';
export * as histogram from './runtime/histogram.ts';
export * as membership from './runtime/membership/gossip.ts';
export * as member from './runtime/membership/member.ts';
export * as phi from './runtime/membership/phi-accrual.ts';
export * as ring from './runtime/ownership/ownership.ts';
export * as partition from './runtime/partition.ts';
export * as passivation from './runtime/passivation.ts';
export * as placement from './runtime/placement.ts';
export * as relocation from './runtime/relocation-route.ts';
export * as supervision from './runtime/supervision.ts';
export * as timerWheel from './runtime/timer-wheel.ts';
export * as bloom from './storage/bloom.ts';
