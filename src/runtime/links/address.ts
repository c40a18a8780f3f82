// Where a node listens and what is dialled:  host:port   [v6]:port   unix:/path
//
// Invariant: an address that passed here is written in one way only: 127.1:80, 0x7f.0.0.1:80 and 127.0.0.1:80 are the same, and
// so are the spellings of an IPv6 address. So a loopback address cannot hide, nor another one pass for it.

import { TroupeError } from '../../errors.ts';
import { addressBytesMax } from '../../limits.ts';
import { show } from '../show.ts';

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** sockaddr_un has 108 bytes on Linux and 104 on macOS, one is the NUL. What is longer would be cut off silently. */
const pathBytesMax = 103;

/** Throws BAD_OPTION. Port 0 is right for listening only: the system chooses one. */
export function parseAddress(text: unknown): Address {
  if (typeof text !== 'string') throw bad(text, 'must be text');
  if (text.startsWith('unix:')) return { kind: 'unix', path: checkPath(text) };
  const parts = /^(\[[^\]]*\]|[^:[\]]+):([0-9]{1,5})$/.exec(text);
  if (parts === null) throw bad(text, "must be 'host:port', '[v6]:port' or 'unix:/path'");
  const [, host, digits] = parts as unknown as [string, string, string];
  const port = Number(digits);
  if (port > 65_535) throw bad(text, `has port ${digits}, the largest is 65535`);
  return { kind: 'tcp', host: hostOf(text, host), port };
}

export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Only processes of this machine reach it. */
export function isLoopback(address: Address): boolean {
  if (address.kind === 'unix' || address.host === 'localhost') return true;
  const { host } = address;
  return isV4(host) ? host.startsWith('127.') : host === '::1' || /^::ffff:7f[0-9a-f]{2}:/.test(host);
}

/** Every address of the machine: can be listened on, and not be dialled. */
export function isWildcard(address: Address): boolean {
  return (
    address.kind === 'tcp' && (address.host === '0.0.0.0' || address.host === '::' || address.host === '::ffff:0:0')
  );
}

/** Of what a wire calls its other side: the part that its connections have in common. */
export function hostOfRemote(remote: string): string {
  const at = remote.lastIndexOf(':');
  return remote.startsWith('unix:') || at < 0 ? remote : remote.slice(0, at);
}

/** Where a peer is dialled that says so of itself: who says that it is everywhere is where it comes from. Undefined: nowhere. */
export function dialable(said: string, remote: string): string | undefined {
  try {
    const address = parseAddress(said);
    if (address.kind === 'unix' || !isWildcard(address)) return formatAddress(address);
    return formatAddress(parseAddress(`${hostOfRemote(remote)}:${address.port}`));
  } catch {
    return undefined;
  }
}

const isV4 = (host: string): boolean => /^\d{1,3}(\.\d{1,3}){3}$/.test(host);

function hostOf(text: string, host: string): string {
  if (!/^(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+)$/.test(host) || text.length > addressBytesMax)
    throw bad(text, 'has a host that is neither a name nor an IP address');
  let name: string;
  try {
    name = new URL(`http://${host}/`).hostname; // brings numbers into their one form
  } catch {
    throw bad(text, 'has a host that is neither a name nor an IP address');
  }
  return name.startsWith('[') ? name.slice(1, -1) : name;
}

function checkPath(text: string): string {
  const path = text.slice('unix:'.length);
  const bytes = new TextEncoder().encode(path).length;
  if (!path.startsWith('/') || path.includes('\0')) throw bad(text, 'must have an absolute path after unix:');
  if (bytes > pathBytesMax)
    throw bad(text, `has a path of ${bytes} bytes, a socket takes ${pathBytesMax}: use a shorter directory`);
  return path;
}

function bad(text: unknown, what: string): TroupeError {
  return new TroupeError('BAD_OPTION', `address ${show(text)} ${what}`, { details: { address: show(text) } });
}
