// One actor as three generations of code know it: what is stored by one is read by the next. Each generation is a type of its
// own here (one process holds one), told to call itself by the same name on disk.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorOptions, type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';

type Versioned = { [field: string]: unknown };

export class Profile extends Actor<Versioned> {
  override initial(): Versioned {
    return { name: 'new' };
  }
  set(field: string, value: unknown): void {
    this.state[field] = value;
  }
  read(): Versioned {
    return this.state;
  }
}

/** The same type name in each process, with other options. */
export function generation(version: number, migrate?: ActorOptions<Profile>['migrate']): ActorType<Profile> {
  return defineActor(import.meta.url, Profile, {
    type: 'profile',
    version,
    persist: 'snapshot',
    ...(migrate === undefined ? {} : { migrate }),
  });
}

/** The same by a journal: its events are as old or new as the code that wrote them. */
class WrittenProfile extends Profile {
  override onEvent([field, value]: [string, unknown]): void {
    this.state[field] = value;
  }
  override set(field: string, value: unknown): void {
    this.append([field, value]);
  }
}

export function writtenGeneration(version: number): ActorType<Profile> {
  return defineActor(import.meta.url, WrittenProfile, {
    type: 'profile',
    version,
    persist: 'journal',
  }) as ActorType<Profile>;
}
