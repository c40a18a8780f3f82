// TypeScript source as a list of tokens, without comments: enough to tell code from text, and no more.
//
// The intuition: a checker that greps cannot tell `Date` in code from `Date` in a comment, a string or a regular
// expression. TypeScript 7 has no compiler API yet, so we walk the characters ourselves: five kinds of token, nested
// template literals, and the one hard question of the grammar, whether a slash divides or begins a regular expression,
// answered by the token before it.
//
// Invariant: text inside comments, strings, templates and regular expressions never comes out as a word.

export interface Token {
  readonly kind: 'word' | 'number' | 'string' | 'regex' | 'punct';
  /** The word, the operator, or the content of a string without its quotes. */
  readonly text: string;
  readonly line: number;
}

/** After these words a slash begins a regular expression. After any other word it divides. */
const beforeRegex = new Set(
  'return typeof case in of delete void throw new instanceof await yield do else extends default'.split(' '),
);

/** Longest first. The rest of the operators may fall apart into single characters; no rule looks at them. */
const operators = ['...', '?.', '=>', '==', '!=', '&&', '||', '??', '++', '--'];

export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  /** One entry a template literal we are inside of: how many braces are open in its current `${...}`. */
  const templates: number[] = [];
  let at = source.startsWith('#!') ? lineEnd(source, 0) : 0;
  let line = 1;

  while (at < source.length) {
    const began = at;
    const char = source[at] as string;
    const rest = source.slice(at, at + 3);
    if (/\s/.test(char)) at++;
    else if (rest.startsWith('//')) at = lineEnd(source, at);
    else if (rest.startsWith('/*')) at = indexAfter(source, '*/', at + 2);
    else if (char === '"' || char === "'") take('string', quotedEnd(source, at), 1);
    else if (char === '`' || (char === '}' && templates.at(-1) === 0)) takeTemplatePiece(char === '`');
    else if (/[\p{ID_Start}$_#@]/u.test(char)) take('word', matchEnd(/[\p{ID_Continue}$#@]+/uy, source, at));
    else if (/[0-9]/.test(char)) take('number', matchEnd(/[0-9][\w.]*/y, source, at));
    else if (char === '/' && regexMayStart(tokens.at(-1))) take('regex', regexEnd(source, at));
    else takeOperator(rest, char);
    for (let i = began; i < at; i++) if (source[i] === '\n') line++;
  }
  return tokens;

  function take(kind: Token['kind'], end: number, trim = 0): void {
    tokens.push({ kind, text: source.slice(at + trim, end - trim), line });
    at = end;
  }

  /** From a backtick, or from the brace that closes a `${`, to the next `${` or to the closing backtick. */
  function takeTemplatePiece(opening: boolean): void {
    if (!opening) templates.pop();
    let end = at + 1;
    while (end < source.length && source[end] !== '`' && !source.startsWith('${', end)) {
      end += source[end] === '\\' ? 2 : 1;
    }
    tokens.push({ kind: 'string', text: source.slice(at + 1, end), line });
    if (source[end] === '$') {
      templates.push(0);
      at = end + 2;
    } else {
      at = end + 1;
    }
  }

  function takeOperator(rest: string, char: string): void {
    const depth = templates.length - 1;
    if (depth >= 0 && char === '{') templates[depth] = (templates[depth] as number) + 1;
    if (depth >= 0 && char === '}') templates[depth] = (templates[depth] as number) - 1;
    const operator = operators.find(candidate => rest.startsWith(candidate)) ?? char;
    take('punct', at + operator.length);
  }
}

function regexMayStart(previous: Token | undefined): boolean {
  if (previous === undefined) return true;
  if (previous.kind === 'word') return beforeRegex.has(previous.text);
  return previous.kind === 'punct' && ![')', ']', '}', '++', '--'].includes(previous.text);
}

function regexEnd(source: string, at: number): number {
  let inClass = false;
  let end = at + 1;
  for (; end < source.length && source[end] !== '\n'; end++) {
    const char = source[end];
    if (char === '\\') end++;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '/' && !inClass) break;
  }
  return matchEnd(/[a-z]*/y, source, end + 1);
}

function quotedEnd(source: string, at: number): number {
  let end = at + 1;
  while (end < source.length && source[end] !== source[at] && source[end] !== '\n') end += source[end] === '\\' ? 2 : 1;
  return end + 1;
}

function matchEnd(sticky: RegExp, source: string, at: number): number {
  sticky.lastIndex = at;
  return sticky.test(source) ? sticky.lastIndex : at + 1;
}

function indexAfter(source: string, text: string, from: number): number {
  const found = source.indexOf(text, from);
  return found < 0 ? source.length : found + text.length;
}

function lineEnd(source: string, from: number): number {
  const found = source.indexOf('\n', from);
  return found < 0 ? source.length : found;
}
