// What is left of a node that is offered ten times what it can serve? To be run by hand, on a machine that does nothing else:
//
//   node bench/overload.ts [--minutes 3] [--what actor|store|both] [--times 10] [--service 100] [--deadline 5000,100] [--json]
//
// First a closed loop finds the peak. Then an open loop offers half of it (before), ten times as much (overload), and half
// again (after). Wanted: goodput of 80 % of the peak under overload, memory that does not grow, refusals that come at once or
// by the deadline, and after it the latencies of before (research/reliability.md R5, behaviours.md A-361).

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { call, startNode } from '../src/index.ts';
import { readArguments, readNumber, readWord } from './arguments.ts';
import { ServerT } from './overload/actors.ts';
import { type Ask, closedLoop, openLoop, per, type Tally } from './overload/load.ts';

const usage = `Usage: node bench/overload.ts [options]

  --minutes <n>      of overload (default: 3)
  --what <what>      actor, store or both (default: both)
  --times <n>        how many times the peak is offered (default: 10)
  --service <us>     what a message costs an actor (default: 100)
  --deadline <ms,..> of the calls, one run for each (default: 5000,100)
  --around <s>       seconds of the phases around the overload (default: 5)
  --json             the results as JSON, and nothing else
  --help             this`;
const options = readArguments(usage, {
  minutes: { type: 'string', default: '3' },
  what: { type: 'string', default: 'both' },
  times: { type: 'string', default: '10' },
  service: { type: 'string', default: '100' },
  deadline: { type: 'string', default: '5000,100' },
  around: { type: 'string', default: '5' },
  json: { type: 'boolean', default: false },
});
const actorsCount = 32;
const what = readWord('what', options.what, ['actor', 'store', 'both']);
const minutes = readNumber('minutes', options.minutes, { fraction: true });
const times = readNumber('times', options.times, { fraction: true });
const service = readNumber('service', options.service);
const deadlines = options.deadline.split(',').map(text => readNumber('deadline', text));
const aroundMs = readNumber('around', options.around, { fraction: true }) * 1_000;
const say = (line: string): void => void (options.json || process.stdout.write(`${line}\n`));
const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const ms = (us: number): string => `${(us / 1_000).toFixed(us < 10_000 ? 2 : 0)} ms`;

function row(phase: string, tally: Tally): object {
  const { answered, refused, outcomes, offered, seconds } = tally;
  const cpuUs = tally.cpuUs / (outcomes.get('ok') ?? 0);
  const others = [...outcomes].filter(([outcome]) => outcome !== 'ok').map(([outcome, count]) => `${outcome} ${count}`);
  say(
    [
      phase.padEnd(22),
      `offered ${(offered / seconds).toFixed(0)}/s`.padEnd(18),
      `goodput ${per(tally, 'ok').toFixed(0)}/s`.padEnd(17),
      `answers p50 ${ms(answered.quantile(0.5))} p99 ${ms(answered.quantile(0.99))}`.padEnd(40),
      `refusals p50 ${ms(refused.quantile(0.5))} p99 ${ms(refused.quantile(0.99))}`.padEnd(40),
      `cpu ${cpuUs.toFixed(0)} us`.padEnd(11),
      `rss ${mib(tally.rssAtStart)} -> ${mib(tally.rssMax)}`,
      others.join(', '),
    ].join(' '),
  );
  return { phase, offered: offered / seconds, goodput: per(tally, 'ok'), cpuUs, ...Object.fromEntries(outcomes) };
}

async function measure(name: string, ask: Ask): Promise<object> {
  say(`\n${name}`);
  await closedLoop(ask, 64, aroundMs / 2);
  const peak = await closedLoop(ask, 64, aroundMs);
  const best = per(peak, 'ok');
  const rows = [row('peak, closed loop', peak)];
  const half = await openLoop(ask, best / 2, aroundMs);
  rows.push(row('before, half of it', half));
  const flood = await openLoop(ask, best * times, minutes * 60_000);
  rows.push(row(`overload, ${times} x`, flood));
  const recovering = await openLoop(ask, best / 2, 2_000);
  rows.push(row('after, first 2 s', recovering));
  const after = await openLoop(ask, best / 2, aroundMs);
  rows.push(row('after that', after));
  const share = per(flood, 'ok') / best;
  say(`goodput under overload: ${(share * 100).toFixed(0)} % of the peak (wanted: 80)`);
  return { name, share, rows };
}

const results: object[] = [];
for (const deadline of deadlines) {
  if (what !== 'store') {
    const node = await startNode({ threads: 1, actors: [ServerT] });
    const servers = Array.from({ length: actorsCount }, (_, n) =>
      call(node.ref(ServerT, `${n}`), { deadlineMs: deadline }),
    );
    const server = (n: number): (typeof servers)[0] => servers[n % actorsCount] as (typeof servers)[0];
    results.push(
      await measure(`actors on another thread, ${service} us a message, deadline ${deadline} ms`, n =>
        server(n).serve(service),
      ),
    );
    await node.stop();
  }
  if (what !== 'actor') {
    const dataDir = mkdtempSync(join(tmpdir(), 'troupe-overload-'));
    const node = await startNode({ threads: 1, dataDir });
    const store = await node.store('s', { siblings: false });
    const value = new Uint8Array(1_024).fill(7);
    results.push(
      await measure(`durable puts of 1 KiB, deadline ${deadline} ms`, n =>
        store.put(`k${n % 10_000}`, value, { deadlineMs: deadline }),
      ),
    );
    await node.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}
if (options.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
