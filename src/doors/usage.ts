// A command line that asks for what does not exist, or not like that: exit code 2, and a word on what would be right.

export class UsageError extends Error {}

/** A whole number within bounds, from the text of an option. */
export function wholeOption(option: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`--${option} needs a whole number from ${min} to ${max}, not '${text}'`);
}
