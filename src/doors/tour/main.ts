// npm start. Reads the command line, runs the tour, prints what it found; the exit code is the verdict.

import { UsageError } from '../usage.ts';
import { NoCities } from './cities.ts';
import { closing } from './closing.ts';
import { type Home, makeHome } from './home.ts';
import { runTour } from './tour.ts';
import { help, readTourOptions, type TourOptions } from './tour-options.ts';
import { silentView, viewOn } from './view.ts';

const failed = 1;
const usage = 2;
/** 128 + SIGINT, as a shell counts. */
const interrupted = 130;

async function main(args: readonly string[]): Promise<number> {
  const options = readTourOptions(args);
  if (options.help) {
    process.stdout.write(`${help}\n`);
    return 0;
  }
  const home = makeHome(options.dataDir);
  // For every way out, also those that wait for nothing.
  process.on('exit', () => home.remove());
  return await tour(options, home);
}

async function tour(options: TourOptions, home: Home): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => {
    // The second time nobody wants to wait for the threads to end in good order.
    if (stop.signal.aborted) process.exit(interrupted);
    stop.abort(new Error('interrupted'));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  const screen = options.json ? process.stderr : process.stdout;
  const view = options.json && !screen.isTTY ? silentView : viewOn(screen);
  const report = await runTour(options, home, view, stop.signal);
  home.remove();
  process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else view.say(closing(report));
  return report.interrupted ? interrupted : report.ok ? 0 : failed;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known = error instanceof UsageError || error instanceof NoCities;
  process.stderr.write(`${known ? (error as Error).message : ((error as Error).stack ?? String(error))}\n`);
  if (error instanceof UsageError) process.stderr.write('Try --help.\n');
  process.exitCode = error instanceof UsageError ? usage : failed;
}
