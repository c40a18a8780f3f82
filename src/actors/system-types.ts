// The actor types every node hosts for itself, in the order all threads register them.

import type { ActorType } from '../runtime/define-actor.ts';
import { CompactorT } from './compactor-actor.ts';
import { StoresT } from './stores-actor.ts';
import { VnodeT } from './vnode-actor.ts';

export const systemTypes: readonly ActorType<any>[] = [VnodeT, StoresT, CompactorT];
