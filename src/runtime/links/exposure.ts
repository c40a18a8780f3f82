// Who may reach a node's port, and what must be proved there. Whoever gets through the greeting is trusted with everything, so a
// port that others than this machine's own processes can reach asks for a certificate and for the secret, or does not open.

import { TroupeError } from '../../errors.ts';
import { secretBytesMin } from '../../limits.ts';
import { formatAddress, isLoopback, parseAddress } from './address.ts';

export interface Exposure {
  /** Undefined: this node only dials. */
  readonly listen: string | undefined;
  /** Streams are TLS with certificates on both sides. */
  readonly secure: boolean;
  readonly secret: string | undefined;
  /** The user has written out that the network is trusted. */
  readonly insecure: boolean;
}

/** Throws BAD_OPTION: the port would be open to strangers, or the secret is one that can be guessed. */
export function checkExposure({ listen, secure, secret, insecure }: Exposure): void {
  if (secret !== undefined) checkSecret(secret);
  if (listen === undefined || insecure) return;
  const address = parseAddress(listen);
  const missing = [secure ? '' : "'tls'", secret === undefined ? "'secret'" : ''].filter(option => option !== '');
  if (missing.length === 0 || isLoopback(address)) return;
  const where = formatAddress(address);
  throw new TroupeError(
    'BAD_OPTION',
    `listen ${where} can be reached from other machines, and ${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} missing: ` +
      `set ${missing.length > 1 ? 'them' : 'it'}, listen on 127.0.0.1, or write insecure: true if you trust everybody in that network`,
    { details: { option: 'listen', listen: where, missing: missing.map(option => option.slice(1, -1)) } },
  );
}

function checkSecret(secret: unknown): void {
  const bytes = typeof secret === 'string' ? new TextEncoder().encode(secret).length : 0;
  if (bytes >= secretBytesMin) return;
  throw new TroupeError(
    'BAD_OPTION',
    `secret must be text of at least ${secretBytesMin} bytes that nobody can guess, such as the output of 'openssl rand -hex 32'`,
    { details: { option: 'secret' } },
  );
}
