// The closing line of a CI run, 'N passed, N failed' (', N skipped' when there are any), from vitest's JSON report.
// A file that could not be loaded counts as one failure, and so does a run that failed without naming a test (an
// unhandled error, say): the line must never look better than the run was. No test, or no report, is a failure.

import { readFileSync } from 'node:fs';

const report = read(process.argv[2]);
const statuses = report.testResults.flatMap(file => {
  const tests = file.assertionResults.map(test => test.status);
  return file.status === 'failed' && !tests.includes('failed') ? [...tests, 'failed'] : tests;
});
const count = (...wanted) => statuses.filter(status => wanted.includes(status)).length;

const passed = count('passed');
const skipped = count('skipped', 'pending', 'todo', 'disabled');
let failed = count('failed');
if (failed === 0 && !report.success) failed = 1;

process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { success: false, testResults: [] };
  }
}
