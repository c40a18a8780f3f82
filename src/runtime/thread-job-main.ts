// What runs on a thread of the jobs pool: one function of one module, once. What it throws is answered as data: an error that
// crosses a thread by itself loses its code and its name.

import { describeThrown, TroupeError, toWireError } from '../errors.ts';
import type { JobAnswer, JobTask } from './thread-jobs.ts';

export default async function main({ url, name, argument }: JobTask): Promise<JobAnswer> {
  try {
    return { value: await (await functionOf(url, name))(argument) };
  } catch (error) {
    return { error: toWireError(error) };
  }
}

async function functionOf(url: string, name: string): Promise<(argument: unknown) => unknown> {
  let module: Record<string, unknown>;
  try {
    module = await import(url);
  } catch (cause) {
    throw new TroupeError('BAD_OPTION', `the module of a job could not be loaded: ${describeThrown(cause).message}`);
  }
  const found = Object.hasOwn(module, name) ? module[name] : undefined;
  if (typeof found === 'function') return found as (argument: unknown) => unknown;
  throw new TroupeError('NO_METHOD', `${url} exports no function '${name}'`);
}
