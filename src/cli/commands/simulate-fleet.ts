/** `tidemark simulate fleet`: readings of made-up hosts, with faults whose labels are printed. */
import { Command } from 'commander';
import { days } from '../../model/index.ts';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { Publisher } from '../publisher.ts';
import { write } from '../terminal.ts';
import { wholeNumber } from '../usage.ts';

const TICK_MS = 50;
const TICK_READINGS_MAX = 5_000;

interface Flags extends ReachFlags {
  readonly rate: number;
  readonly seed: number;
  readonly hosts: number;
  readonly count?: number;
  readonly days?: number;
  readonly faults: number;
  readonly labels?: boolean;
}

export function simulateFleetCommand(context: CliContext): Command {
  const command = new Command('fleet')
    .description('publish readings of made-up hosts to topic system.metrics')
    .option(
      '--rate <number>',
      'readings per second; 0: as fast as they are taken',
      wholeNumber(0),
      100,
    )
    .option(
      '--seed <number>',
      'the same seed gives the same readings and faults',
      wholeNumber(0),
      1,
    )
    .option('--hosts <number>', 'how many hosts report', wholeNumber(1), 5)
    .option('--count <number>', 'end after so many readings', wholeNumber(1))
    .option(
      '--days <number>',
      'this stretch of event time up to now, a reading each 10 s, as fast as it is taken',
      wholeNumber(1),
    )
    .option('--faults <number>', 'faults per 100 host-days', wholeNumber(0), 50)
    .option(
      '--labels',
      'print the faults of this stretch as NDJSON, and publish nothing; needs --days',
    );
  return withReach(command).action((flags: Flags) => simulate(context, flags));
}

async function simulate(context: CliContext, flags: Flags): Promise<void> {
  const { terminal } = context;
  const { seed, hosts, count = Number.POSITIVE_INFINITY } = flags;
  const { faultsOf, READINGS_PER_HOST, simulateFleet } = await import('../../collect/index.ts');
  const now = terminal.clock.now();
  const durationMs = flags.days === undefined ? undefined : days(flags.days);
  const isPaced = durationMs === undefined && flags.rate > 0;
  // Whole minutes, so that a label printed now is that of readings published in a moment.
  const startMs = durationMs === undefined ? now : Math.floor(now / 60_000) * 60_000 - durationMs;
  const options = {
    seed,
    hosts,
    startMs,
    faultsPerHostDay: flags.faults / 100,
    intervalMs: isPaced
      ? Math.max(1, Math.round((1_000 * hosts * READINGS_PER_HOST) / flags.rate))
      : 10_000,
    ...(durationMs === undefined ? {} : { durationMs }),
  };
  if (flags.labels === true) {
    const faults = faultsOf({ ...options, durationMs: durationMs ?? days(1) });
    for (const fault of faults) await write(terminal.stdout, `${JSON.stringify(fault)}\n`);
    return;
  }
  const readings = simulateFleet(options);
  const published = await withClient(context, flags, async (client) => {
    const publisher = new Publisher(client, 'system.metrics');
    let sent = 0;
    let ended = false;
    while (!ended && !terminal.stopped.aborted) {
      const elapsedMs = terminal.clock.now() - now;
      const due = isPaced
        ? Math.floor((elapsedMs * flags.rate) / 1_000) + 1 - sent
        : TICK_READINGS_MAX;
      const lines: string[] = [];
      while (lines.length < Math.min(due, TICK_READINGS_MAX, count - sent)) {
        const { value, done } = readings.next();
        ended = done === true;
        if (value === undefined) break;
        lines.push(JSON.stringify(value));
      }
      ended ||= sent + lines.length >= count;
      sent += lines.length;
      if (lines.length > 0) {
        await publisher.add({ bytes: Buffer.from(`${lines.join('\n')}\n`), count: lines.length });
      }
      if (!isPaced) await publisher.flush();
      else if (!ended) await terminal.clock.sleep(TICK_MS, terminal.stopped).catch(() => {});
    }
    await publisher.flush();
    return publisher.published;
  });
  const report = flags.json
    ? JSON.stringify({ topic: 'system.metrics', count: published })
    : `published ${published} readings`;
  await write(terminal.stdout, `${report}\n`);
}
