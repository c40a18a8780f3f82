// Certificates for tests, made by openssl in a directory that goes away with the test.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsIdentity } from '../../../src/runtime/links/tls-wire.ts';

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export class Certificates {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'troupe-ca-'));

  constructor() {
    this.openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=a test');
  }

  /** Of a node. `san`: 'DNS:n1'; empty: the common name alone. `days`: -1 has expired yesterday. */
  issue(name: string, { san = `DNS:${name}`, days = 2 }: { san?: string; days?: number } = {}): TlsIdentity {
    const extension = san === '' ? [] : ['-addext', `subjectAltName=${san}`];
    this.openssl('req', ...newKey, '-keyout', 'key', '-out', 'csr', '-subj', `/CN=${name}`, ...extension);
    const ca = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
    this.openssl(
      'x509',
      '-req',
      '-in',
      'csr',
      ...ca,
      '-out',
      'cert',
      '-days',
      String(days),
      '-copy_extensions',
      'copy',
    );
    return { cert: this.read('cert'), key: this.read('key'), ca: this.read('ca.pem') };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  private openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.folder, stdio: 'pipe' });
  }

  private read(file: string): string {
    return readFileSync(join(this.folder, file), 'utf8');
  }
}
