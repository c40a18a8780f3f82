// Whether a node keeps copies of partitions at all, by its options and by what is on its disk.

import type { Engine } from '../../storage/engine.ts';
import type { FarRouter } from '../far-router.ts';
import type { Gateway, GatewayOptions } from '../gateway/gateway.ts';
import { refuseKept } from './replica-records.ts';
import { Replicas } from './replicas.ts';

export type { Replicas } from './replicas.ts';
export type { ReplicasOptions } from './replicas-options.ts';

/** Null: each partition is kept by its owner alone. */
export function replicasOf(router: FarRouter, gateway: Gateway, options: GatewayOptions): Replicas | null {
  const { replicas, leases, raiseEpochs } = options;
  if (replicas === undefined || leases === undefined) return null;
  return new Replicas(router, gateway, { ...replicas, ...leases, raiseEpochs });
}

/** What an earlier life has stored, before anything runs. Throws CORRUPT, and BAD_OPTION where there is something and nobody to read it. */
export function loadReplicas(replicas: Replicas | null, engine: Engine): void {
  if (replicas === null) refuseKept(engine);
  else replicas.load();
}
