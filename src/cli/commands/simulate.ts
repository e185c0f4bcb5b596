/** `tidemark simulate votes|fleet`: made-up events at a steady rate, published as anyone would publish them. */
import { Command } from 'commander';
import type { SimulatedVote } from '../../collect/index.ts';
import type { Clock } from '../../runtime/index.ts';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { Publisher } from '../publisher.ts';
import { write } from '../terminal.ts';
import { wholeNumber } from '../usage.ts';
import { simulateFleetCommand } from './simulate-fleet.ts';

/** Votes due are sent this often. */
const TICK_MS = 50;
/** At most so many at once, so that a stall is caught up without filling memory. */
const TICK_VOTES_MAX = 5_000;
/** The simulator's usual share of repeats, which take no event time of their own. */
const DUPLICATE_SHARE = 0.01;
/** Event time when no pace is kept. */
const UNPACED_RATE = 5_000;

interface Flags extends ReachFlags {
  readonly rate: number;
  readonly seed: number;
  readonly count?: number;
  readonly validators: number;
}

export function simulateCommand(context: CliContext): Command {
  const command = new Command('simulate').description('producers of made-up events');
  const votes = new Command('votes')
    .description('publish made-up votes of topic votes')
    .option(
      '--rate <number>',
      'votes per second; 0: as fast as they are taken',
      wholeNumber(0),
      1_000,
    )
    .option('--seed <number>', 'the same seed gives the same votes', wholeNumber(0), 1)
    .option('--count <number>', 'end after so many votes', wholeNumber(1))
    .option('--validators <number>', 'how many validators vote', wholeNumber(1), 2_000);
  command.addCommand(withReach(votes).action((flags: Flags) => simulate(context, flags)));
  command.addCommand(simulateFleetCommand(context));
  return command;
}

async function simulate(context: CliContext, flags: Flags): Promise<void> {
  const { terminal } = context;
  const { rate, seed, count, validators } = flags;
  const { simulateVotes } = await import('../../collect/index.ts');
  const startMs = terminal.clock.now();
  const votes = simulateVotes({
    seed,
    validators,
    startMs,
    ratePerSecond: rate === 0 ? UNPACED_RATE : rate * (1 - DUPLICATE_SHARE),
    duplicateShare: DUPLICATE_SHARE,
    ...(count === undefined ? {} : { count }),
  });
  const published = await withClient(context, flags, async (client) => {
    const publisher = new Publisher(client, 'votes');
    let sent = 0;
    while (!terminal.stopped.aborted) {
      const due = rate === 0 ? TICK_VOTES_MAX : dueAt(terminal.clock, startMs, rate) - sent;
      const lines = take(votes, Math.min(due, TICK_VOTES_MAX));
      if (lines.count > 0) await publisher.add(lines);
      sent += lines.count;
      if (lines.ended) break;
      if (rate === 0) await publisher.flush();
      else await terminal.clock.sleep(TICK_MS, terminal.stopped).catch(() => {});
    }
    await publisher.flush();
    return publisher.published;
  });
  const report = flags.json
    ? JSON.stringify({ topic: 'votes', count: published })
    : `published ${published} votes`;
  await write(terminal.stdout, `${report}\n`);
}

const dueAt = (clock: Clock, startMs: number, rate: number): number =>
  Math.floor(((clock.now() - startMs) * rate) / 1_000) + 1;

function take(votes: Generator<SimulatedVote, void, undefined>, count: number) {
  const parts: Buffer[] = [];
  const newline = Buffer.from('\n');
  let taken = 0;
  for (; taken < count; taken++) {
    const { value, done } = votes.next();
    if (done || value === undefined)
      return { bytes: Buffer.concat(parts), count: taken, ended: true };
    parts.push(value.value, newline);
  }
  return { bytes: Buffer.concat(parts), count: taken, ended: false };
}
