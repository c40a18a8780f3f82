// backup.json is believed whole or not at all.

import { describe, expect, it } from 'vitest';
import {
  type BackupAbout,
  backupFormat,
  decodeBackup,
  encodeBackup,
} from '../../../src/storage/backup/backup-format.ts';

const about: BackupAbout = {
  at: 1_700_000_000_000,
  engine: 'troupe',
  lsn: 42,
  node: {
    format: 1,
    name: 'n1',
    id: '0'.repeat(32),
    partitions: 64,
    createdAt: 1,
    bootCount: 2,
    epochChunkLimit: 3,
  },
  files: [
    { path: 'lmdb/data.mdb', bytes: 4_096, crc: 1 },
    { path: 'troupe/runs/run-1.mdb.bloom', bytes: 10, crc: 0xffff_ffff },
  ],
};

describe('backup.json', () => {
  it('is read as it was written', () => {
    expect(decodeBackup(encodeBackup(about), 'b')).toEqual(about);
  });

  it('with any character changed is damaged, or of another format', () => {
    const text = encodeBackup(about);
    for (let at = 0; at < text.length; at++) {
      if (/\s/.test(text[at] as string)) continue;
      const changed = `${text.slice(0, at)}${text[at] === '7' ? '8' : '7'}${text.slice(at + 1)}`;
      expect(() => decodeBackup(changed, 'b')).toThrow(/is damaged|has format/);
    }
    expect(() => decodeBackup(text.slice(0, -10), 'b')).toThrow(/not JSON/);
    for (const other of ['null', '3', '{}', '[]']) expect(() => decodeBackup(other, 'b')).toThrow(/it is none/);
  });

  it('of a newer version is refused as such', () => {
    const newer = encodeBackup(about).replace(`"format": ${backupFormat}`, `"format": ${backupFormat + 1}`);
    expect(() => decodeBackup(newer, 'b')).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION', details: expect.objectContaining({ format: backupFormat + 1 }) }),
    );
  });

  it.each(['../x', 'troupe/../../x', '/etc/passwd', 'troupe/runs/..', 'lmdb\\data', 'lmdb', 'other/x', 'lmdb//x'])(
    'never names a file outside its directory: %s',
    path => {
      const text = encodeBackup({ ...about, files: [{ path, bytes: 0, crc: 0 }] });
      expect(() => decodeBackup(text, 'b')).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
    },
  );
});
