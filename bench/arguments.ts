// The arguments of a bench that is a command of its own. Bad ones, and --help, end the process before anything is measured.

import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;
type Values<O extends Options> = ReturnType<typeof parseArgs<{ options: O & { help: { type: 'boolean' } } }>>['values'];

/** The values of the options; exit code 2 and the usage for one that is not known, 0 for --help. */
export function readArguments<const O extends Options>(usage: string, options: O): Values<O> {
  try {
    const { values } = parseArgs({ options: { ...options, help: { type: 'boolean' } } });
    if ('help' in values && values.help === true) end(usage, 0);
    return values as Values<O>;
  } catch (thrown) {
    return end(`${(thrown as Error).message}\n\n${usage}`, 2);
  }
}

/** A number above 0, whole unless `fraction`; exit code 2 for another. */
export function readNumber(option: string, text: string, { fraction = false } = {}): number {
  const value = Number(text);
  const isRight = value > 0 && (fraction ? Number.isFinite(value) : Number.isSafeInteger(value));
  return isRight ? value : end(`--${option} takes a ${fraction ? '' : 'whole '}number above 0, not '${text}'`, 2);
}

/** One of some words; exit code 2 for another. */
export function readWord<const W extends string>(option: string, text: string, words: readonly W[]): W {
  const word = words.find(each => each === text);
  return word ?? end(`--${option} takes ${words.join(', ')}, not '${text}'`, 2);
}

export function end(text: string, code: number): never {
  (code === 0 ? process.stdout : process.stderr).write(`${text}\n`);
  process.exit(code);
}
