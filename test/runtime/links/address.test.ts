// Addresses have one form, loopback cannot be faked, and a port that strangers reach does not open without proofs.

import { describe, expect, it } from 'vitest';
import {
  formatAddress,
  hostOfRemote,
  isLoopback,
  isWildcard,
  parseAddress,
} from '../../../src/runtime/links/address.ts';
import { certificateNames } from '../../../src/runtime/links/certificate-names.ts';
import { checkExposure } from '../../../src/runtime/links/exposure.ts';

describe('an address', () => {
  it.each([
    ['127.0.0.1:7001', '127.0.0.1:7001', true],
    ['127.1:7001', '127.0.0.1:7001', true],
    ['0x7f000001:7001', '127.0.0.1:7001', true],
    ['127.9.8.7:0', '127.9.8.7:0', true],
    ['LocalHost:80', 'localhost:80', true],
    ['[0:0::1]:7001', '[::1]:7001', true],
    ['[::ffff:127.0.0.1]:443', '[::ffff:7f00:1]:443', true],
    ['unix:/run/troupe/n1', 'unix:/run/troupe/n1', true],
    ['10.0.0.2:65535', '10.0.0.2:65535', false],
    ['0.0.0.0:7001', '0.0.0.0:7001', false],
    ['0:7001', '0.0.0.0:7001', false],
    ['[::]:7001', '[::]:7001', false],
    ['[FE80::1:2]:7001', '[fe80::1:2]:7001', false],
    ['[::ffff:10.0.0.1]:1', '[::ffff:a00:1]:1', false],
    ['n1.example.com:7001', 'n1.example.com:7001', false],
    ['127.0.0.1.example.com:7001', '127.0.0.1.example.com:7001', false],
    ['my_service:7001', 'my_service:7001', false],
  ])('%s is %s, and reachable by this machine alone: %s', (text, form, loopback) => {
    const address = parseAddress(text);
    expect([formatAddress(address), isLoopback(address)]).toEqual([form, loopback]);
    expect(parseAddress(form)).toEqual(address);
  });

  it.each([
    undefined,
    7001,
    '',
    ':7001',
    '7001',
    'n1',
    'n1:',
    'n1:x',
    'n1:65536',
    'n1:-1',
    'n1:123456',
    '::1:7001',
    '[::1]',
    '[n1]:7001',
    '[:::1]:7001',
    '256.0.0.1:7001',
    'a@b:7001',
    'a/b:7001',
    'a b:7001',
    'http://n1:7001',
    'n1:7001/',
    `${'a'.repeat(300)}:7001`,
    'unix:',
    'unix:relative',
    'unix:/a\0b',
    `unix:/${'a'.repeat(103)}`,
  ])('is not %j', text => {
    expect(() => parseAddress(text)).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringMatching(/^address /) }),
    );
  });

  it('that means all of a machine cannot be dialled', () => {
    const all = ['0.0.0.0:1', '[::]:1', '0:1', '[::ffff:0.0.0.0]:1', '127.0.0.1:1', 'unix:/a'];
    expect(all.map(text => isWildcard(parseAddress(text)))).toEqual([true, true, true, true, false, false]);
  });

  it('of a connection has its host in common with others from there', () => {
    expect(['10.0.0.2:4001', '[::1]:4001', 'unix:/a:1', 'n1'].map(hostOfRemote)).toEqual([
      '10.0.0.2',
      '[::1]',
      'unix:/a:1',
      'n1',
    ]);
  });
});

describe('a port', () => {
  const secret = 'correct horse battery';
  const check = (more: object) =>
    checkExposure({ listen: '0.0.0.0:7001', secure: false, secret: undefined, insecure: false, ...more });

  it.each([
    ['0.0.0.0:7001', false, undefined, ['tls', 'secret']],
    ['0.0.0.0:7001', false, secret, ['tls']],
    ['0.0.0.0:7001', true, undefined, ['secret']],
    ['[::]:7001', false, undefined, ['tls', 'secret']],
    ['10.0.0.1:7001', false, undefined, ['tls', 'secret']],
    ['n1.example.com:7001', false, undefined, ['tls', 'secret']],
  ])('at %s (tls %s, secret %s) does not open without %j', (listen, secure, given, missing) => {
    expect(() => check({ listen, secure, secret: given })).toThrow(
      expect.objectContaining({
        code: 'BAD_OPTION',
        details: { option: 'listen', listen, missing },
        message: expect.stringContaining('listen on 127.0.0.1, or write insecure: true'),
      }),
    );
  });

  it.each([
    [{ secure: true, secret }],
    [{ insecure: true }],
    [{ listen: '127.0.0.1:7001' }],
    [{ listen: '[::1]:0' }],
    [{ listen: 'unix:/tmp/a' }],
    [{ listen: undefined }],
  ])('opens with %j', more => {
    expect(() => check(more)).not.toThrow();
  });

  it.each(['', 'short', '123456789012345', 5])('does not open with a secret that can be guessed: %j', given => {
    expect(() => check({ secret: given, insecure: true })).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION', details: { option: 'secret' } }),
    );
    expect(() => check({ secret: given, insecure: true })).not.toThrow(/1234/); // it is not printed
  });
});

describe('the names of a certificate', () => {
  it.each([
    ['DNS:n1', 'x', ['n1']],
    ['DNS:n1, IP Address:10.0.0.1, DNS:n2', 'x', ['n1', 'n2']],
    [undefined, 'n1', ['n1']],
    ['IP Address:10.0.0.1', 'n1', ['n1']],
    [undefined, ['n1', 'n2'], ['n1', 'n2']],
    [undefined, undefined, []],
    ['DNS:"n3, DNS:n1, x"', 'x', ['"n3, DNS:n1, x"']],
    ['othername:"a\\", DNS:n1, \\"b", DNS:n2', 'x', ['n2']],
    ['DNS:n1, nonsense', 'n1', []],
    ['DNS:n1"', 'n1', []],
  ])('in %j and %j are %j', (alternative, common, names) => {
    expect(certificateNames(alternative, common)).toEqual(names);
  });
});
