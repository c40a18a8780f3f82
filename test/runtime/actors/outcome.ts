// What became of an ask, looked at later: the rejection of a promise nobody has taken hold of yet ends a test run.

import type { TroupeError } from '../../../src/errors.ts';

export type Outcome<T> =
  | { readonly value: T; readonly code?: undefined }
  | (TroupeError & { readonly value?: undefined });

export function outcome<T>(promise: Promise<T>): Promise<Outcome<T>> {
  return promise.then(
    value => ({ value }),
    (error: TroupeError) => error as TroupeError & { readonly value?: undefined },
  );
}
