// Options by their names: a misspelt one would be a wish that silently does not come true.

import { TroupeError } from '../errors.ts';
import { show } from './show.ts';

/** Throws BAD_OPTION for what is no object, or has an option that is none. `what` takes them: 'node.stop()'. */
export function checkOptionNames(what: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw bad('options', `${what} takes an object of options: { ${known.join(', ')} }, not ${show(given)}`);
  for (const name of Object.keys(given))
    if (!known.includes(name)) throw bad(name, `${what} has no option '${name}'; it has ${known.join(', ')}`);
}

function bad(option: string, message: string): TroupeError {
  return new TroupeError('BAD_OPTION', message, { details: { option } });
}
