// A value as the messages of errors show it: short, on one line, and a text is told from a number ('5' from 5).

export function show(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 64).replaceAll('\0', '\\0')}'`;
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
