// better-sqlite3 with WAL and synchronous FULL: every put a transaction of its own that is synced before it returns. It
// is synchronous, so more in flight changes nothing.

import { join } from 'node:path';
import Database, { type Statement } from 'better-sqlite3';
import type { StoreSide } from './side.ts';

export function sqliteSide(): StoreSide {
  let db: Database;
  let put: Statement;
  let get: Statement;
  return {
    open(folder) {
      db = new Database(join(folder, 'kv.sqlite'));
      db.pragma('journal_mode = WAL');
      db.pragma('synchronous = FULL');
      db.exec('CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID');
      put = db.prepare('INSERT OR REPLACE INTO kv VALUES (?, ?)');
      get = db.prepare('SELECT value FROM kv WHERE key = ?');
    },
    put: (key, value) => put.run(key, value),
    get: key => (get.get(key) as { value: Buffer } | undefined)?.value,
    fill(entries) {
      db.exec('BEGIN');
      for (const [key, value] of entries) put.run(key, value);
      db.exec('COMMIT');
    },
    close: () => void db.close(),
  };
}
