// better-sqlite3 with WAL: every put a transaction of its own. With synchronous FULL it is synced before it returns, with
// NORMAL it survives the process only. It is synchronous, so more in flight changes nothing.

import { join } from 'node:path';
import Database, { type Statement } from 'better-sqlite3';
import type { StoreSide } from './side.ts';

export function sqliteSide(synchronous: 'FULL' | 'NORMAL' = 'FULL'): StoreSide {
  let db: Database;
  let put: Statement;
  let get: Statement;
  let scan: Statement;
  return {
    open(folder) {
      db = new Database(join(folder, 'kv.sqlite'));
      db.pragma('journal_mode = WAL');
      db.pragma(`synchronous = ${synchronous}`);
      db.exec('CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID');
      put = db.prepare('INSERT OR REPLACE INTO kv VALUES (?, ?)');
      get = db.prepare('SELECT value FROM kv WHERE key = ?');
      scan = db.prepare('SELECT key, value FROM kv WHERE key >= ? AND key < ? ORDER BY key LIMIT ?');
    },
    put: (key, value) => put.run(key, value),
    get: key => (get.get(key) as { value: Buffer } | undefined)?.value,
    fill(entries) {
      db.exec('BEGIN');
      for (const [key, value] of entries) put.run(key, value);
      db.exec('COMMIT');
    },
    scan({ from, to, limit }, visit) {
      for (const row of scan.iterate(from, to, limit)) {
        const { key, value } = row as { key: string; value: Buffer };
        visit(key, value);
      }
    },
    close: () => void db.close(),
  };
}
