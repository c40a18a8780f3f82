// What runs on a host thread: one never-ending task of the piscina pool. It imports the actor modules, joins the rings, and
// ends only when it is told to. A throw here, or anywhere unhandled on this thread, ends the thread: the pool notices.

import { TroupeError } from '../errors.ts';
import { openEngine } from '../storage/open-engine.ts';
import { type ActorType, definedType } from './define-actor.ts';
import { beHostThread } from './host-thread.ts';
import { tableOf } from './overseer.ts';
import { realWorld } from './real-world.ts';
import { makeMember, ringFabric } from './thread-host.ts';
import type { PeerRings } from './thread-port.ts';
import type { FromThread, ThreadTask } from './thread-task.ts';
import { type Log, withFields } from './world.ts';

export default async function main(task: ThreadTask): Promise<void> {
  const { control } = task;
  beHostThread();
  const say = (message: FromThread): void => control.postMessage(message);
  const types = await loadTypes(task);
  const engine = openEngine(task.engine);
  const member = makeMember({
    node: task.node,
    thread: task.thread,
    life: task.life,
    lives: task.lives,
    threads: task.threads,
    partitions: task.partitions,
    table: tableOf(task.table),
    fabric: ringFabric(task.fabric),
    epochs: task.epochs,
    types,
    engine,
    world: realWorld({ threads: task.threads - 1, log: task.logging ? remoteLog(say) : undefined }),
    events: { emit: (name, payload) => say({ type: 'event', name, payload: plain(payload) }) },
    residentsMax: task.residentsMax,
    relocateTurnMs: task.relocateTurnMs,
    nodes: task.nodes,
    leases: task.leases,
    onBroken: (_peer, error) => {
      throw error;
    },
  });
  const { host, port, router, replaceRings } = member;
  await new Promise<void>(resolve => {
    control.on('message', message => {
      if (message.type === 'rings') {
        const rings = message.rings as PeerRings;
        replaceRings(rings, () => say({ type: 'replaced', thread: rings.peer }));
      } else if (message.type === 'stop') resolve();
    });
    router.on('drain', (_from, ms) => host.drain(ms));
    router.on('halt', async () => {
      host.halt();
      await engine.close();
    });
    port.ref();
    port.start();
    say({ type: 'hello' });
  });
  port.stop();
  control.close();
}

async function loadTypes(task: ThreadTask): Promise<ActorType[]> {
  const types: ActorType[] = [];
  for (const { url, type } of task.types) {
    await import(url).catch(error => {
      throw new TroupeError(
        'BAD_OPTION',
        `actor module ${url} cannot be imported on a thread: ${error instanceof Error ? error.message : String(error)}`,
        { cause: error },
      );
    });
    const found = definedType(url, type);
    if (found === undefined) {
      throw new TroupeError(
        'NO_ACTOR_TYPE',
        `the module ${url} does not define actor type '${type}' when it is imported on a thread; call defineActor at the top of the module that is passed as import.meta.url`,
      );
    }
    types.push(found);
  }
  return types;
}

/** What crosses to the main thread must be cloneable: errors as their name, message and code. */
function plain(payload: unknown): unknown {
  try {
    return structuredClone(payload);
  } catch {
    return Object.fromEntries(
      Object.entries(payload as object).map(([key, value]) => [
        key,
        typeof value === 'object' || typeof value === 'function' ? String(value) : value,
      ]),
    );
  }
}

function remoteLog(say: (message: FromThread) => void): Log {
  const at = (level: 'trace' | 'debug' | 'info' | 'warn' | 'error') => (fields: object, message?: string) =>
    say({ type: 'log', level, fields: plain(fields) as object, message });
  return withFields(
    { trace: at('trace'), debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } as Log,
    {},
  );
}
