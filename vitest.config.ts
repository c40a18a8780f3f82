// How the tests run: in forked processes (worker threads, LMDB and process signals behave as in production there), two
// at a time, since that is how many cores we have. A test that needs longer than the default says so itself.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['dist/**', 'node_modules/**', '.tmp/**'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    teardownTimeout: 10_000,
  },
});
