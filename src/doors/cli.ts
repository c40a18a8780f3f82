#!/usr/bin/env node
// The command `troupe`: a data directory from the outside, one question at a time. It opens the directory as a node of its own,
// so a running service must be stopped first; the lock of the directory says so.
//
// Exit codes are for scripts (API.md section 7): 0 ok, 1 a seed of the simulator failed, 2 usage, 3 failed, 4 unknown outcome, 5 overloaded, 6 disk full,
// 7 unauthenticated.

import { readFileSync } from 'node:fs';
import { TroupeError } from '../index.ts';
import { help, readCommand, wantsJson } from './cli-arguments.ts';
import { runCommand } from './cli-commands.ts';
import { runFileCommand } from './cli-files.ts';
import { jsonOf } from './cli-json.ts';
import { UsageError } from './usage.ts';

const seedFailed = 1;
const usage = 2;
const failed = 3;
const byCode: Readonly<Record<string, number>> = { OVERLOADED: 5, DISK_FULL: 6, UNAUTHENTICATED: 7 };
const unknown = 4;
const definite = { outcome: 'failed', retryable: false } as const;

async function main(args: readonly string[]): Promise<number> {
  try {
    const command = readCommand(args);
    switch (command.name) {
      case 'help':
        process.stdout.write(`${help}\n`);
        return 0;
      case 'version':
        process.stdout.write(`${version()}\n`);
        return 0;
      case 'log verify':
      case 'log dump':
      case 'backup':
      case 'restore':
      case 'adopt':
        return (await runFileCommand(command, { out: write, note })) ? 0 : failed;
      case 'sim': {
        // Loaded when it is wanted: nothing else needs the simulator.
        const { runSim } = await import('./cli-sim.ts');
        return (await runSim(command, { out: write, note })) ? 0 : seedFailed;
      }
      default:
        return (await runCommand(command, { out: write, note })) ? 0 : failed;
    }
  } catch (error) {
    return report(error, wantsJson(args));
  }
}

/** The version of the package this file is in: two folders up, from src/doors and from dist/doors. */
function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return String((JSON.parse(manifest) as { version: unknown }).version);
}

/** Resolves when the other end has taken it: a scan must not pile up in memory because a pager is slow. */
function write(chunk: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(chunk, error => (error ? reject(error) : resolve()));
  });
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

function report(error: unknown, json: boolean): number {
  // The reader has seen enough: troupe kv scan ... | head.
  if ((error as NodeJS.ErrnoException | null)?.code === 'EPIPE') return 0;
  if (json) note(jsonOf({ error: told(error) }));
  else if (error instanceof UsageError) note(`${error.message}\nTry troupe --help.`);
  else if (error instanceof TroupeError) note(`${error.code}: ${error.message}`);
  else note(error instanceof Error ? (error.stack ?? error.message) : String(error));
  if (error instanceof UsageError) return usage;
  if (!(error instanceof TroupeError)) return failed;
  return error.outcome === 'unknown' ? unknown : (byCode[error.code] ?? failed);
}

/** For programs: a code always, of Troupe or of the system; 'BAD_OPTION' for a command line that is wrong. */
function told(error: unknown): { code: string; message: string; outcome?: string; retryable?: boolean } {
  if (error instanceof UsageError) return { code: 'BAD_OPTION', message: error.message, ...definite };
  if (error instanceof TroupeError) {
    const { code, message, outcome, retryable } = error;
    return { code, message, outcome, retryable };
  }
  const { code = 'UNEXPECTED', message = String(error) } = (error ?? {}) as NodeJS.ErrnoException;
  return { code, message };
}

// A broken pipe reaches us through the write that met it; without a listener it would also end the process.
process.stdout.on('error', () => undefined);
process.exitCode = await main(process.argv.slice(2));
