// The names a certificate proves: its DNS names, or its common name when it has none of them (RFC 6125, 6.4.4).
//
// Node prints the alternative names as 'DNS:n1, IP Address:10.0.0.1', and quotes those that hold what would look like another
// (CVE-2021-44532). So they are read from the beginning, one by one: a name that holds ', DNS:n1, ' proves nothing about n1.

/** `alternative`: subjectAltName as Node prints it; `common`: the subject's CN, a list if there are several. */
export function certificateNames(alternative: string | undefined, common: unknown): string[] {
  const names: string[] = [];
  const one = /([^:"]*):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;
  const text = alternative ?? '';
  while (one.lastIndex < text.length) {
    const found = one.exec(text);
    if (found === null) return []; // nothing that can be read to its end proves anything
    const [, kind, value] = found as unknown as [string, string, string];
    if (kind === 'DNS') names.push(value);
  }
  if (names.length > 0) return names;
  return [common].flat().filter(name => typeof name === 'string');
}
