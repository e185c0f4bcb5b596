/** `tidemark demo`: the main job on the embedded default, fed with recorded votes; a live table meanwhile. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { FatalError } from '../../model/index.ts';
import { type LoadedSettings, roles, type Settings } from '../../runtime/index.ts';
import { type CliContext, type SettingsFlags, settingsFrom, withSettings } from '../context.ts';
import { type DemoView, renderDemo } from '../demo-table.ts';
import type { Engine } from '../engine.ts';
import { isLively, type Terminal, untilStopped, write } from '../terminal.ts';
import { wholeNumber } from '../usage.ts';

/** As recorded: 67,952 votes in 38 s. */
const RECORDED_RATE = 1_780;
const TOPOLOGY = 'vote-latency';
const APPEND_RECORDS = 1_000;
const TICK_MS = 100;
const REDRAW_MS = 1_000;
/** Where nobody watches a terminal, a line this often is enough. */
const PLAIN_LINE_MS = 10_000;
const CATCH_UP_POLL_MS = 50;

interface Flags extends SettingsFlags {
  readonly once?: boolean;
  readonly rate?: number;
}

export function demoCommand(context: CliContext): Command {
  const command = new Command('demo')
    .description('recorded votes through the main job, on nothing but this machine')
    .option('--once', 'end when the recording is through, printing the summary')
    .option(
      '--rate <number>',
      `votes per second; 0: as fast as they are taken (default: ${RECORDED_RATE}, as recorded; 0 with --once)`,
      wholeNumber(0),
    );
  return withSettings(command).action((flags: Flags) => demo(context, flags));
}

async function demo(context: CliContext, flags: Flags): Promise<void> {
  const { terminal } = context;
  const loaded = settingsFrom(context, flags);
  for (const warning of loaded.warnings) await write(terminal.stderr, `warning: ${warning}\n`);
  const isGiven = (path: string) =>
    loaded.values.find(({ setting }) => setting.path === path)?.origin !== 'default';
  const temporary = isGiven('data') ? undefined : await mkdtemp(join(tmpdir(), 'tidemark-demo-'));
  try {
    const { startEngine } = await context.loadMain();
    const settings = await demoSettings(loaded, temporary, isGiven('port'));
    const engine = await startEngine(settings, { roles });
    try {
      await play(terminal, engine, flags);
    } finally {
      await engine.stop();
    }
  } finally {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  }
}

/** Nothing but this machine: servers that the settings name stay out of it. */
async function demoSettings(
  { settings }: LoadedSettings,
  data: string | undefined,
  isPortGiven: boolean,
): Promise<Settings> {
  const { url: _url, ...influx } = settings.influx;
  const isPortUsable = isPortGiven || (await isFree(settings.host, settings.port));
  return {
    ...settings,
    data: data ?? settings.data,
    port: isPortUsable ? settings.port : 0,
    kafka: { ...settings.kafka, brokers: [] },
    cassandra: { ...settings.cassandra, hosts: [] },
    influx,
  };
}

const isFree = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port }, () => server.close(() => resolve(true)));
  });

async function play(terminal: Terminal, engine: Engine, flags: Flags): Promise<void> {
  const { recordedVotes } = await import('../../collect/index.ts');
  const votes = [...recordedVotes()];
  const rate = flags.rate ?? (flags.once ? 0 : RECORDED_RATE);
  let published = 0;
  const view = () => demoView(engine, published, votes.length);
  if (engine.url !== undefined) await write(terminal.stdout, `listening on ${engine.url}\n`);
  const stopDrawing = flags.once ? () => {} : draw(terminal, view);
  try {
    const startMs = terminal.clock.now();
    while (published < votes.length && !terminal.stopped.aborted) {
      const elapsedMs = terminal.clock.now() - startMs;
      const due = rate === 0 ? votes.length : Math.ceil((elapsedMs * rate) / 1_000);
      const upTo = Math.min(due, published + APPEND_RECORDS, votes.length);
      if (upTo > published) {
        await engine.view.broker.append('votes', votes.slice(published, upTo));
        published = upTo;
      } else {
        await terminal.clock.sleep(TICK_MS, terminal.stopped).catch(() => {});
      }
    }
    if (!flags.once) return await untilStopped(terminal);
    await caughtUp(terminal, engine);
    await engine.finish(TOPOLOGY);
  } finally {
    stopDrawing();
  }
  const style = { width: terminal.stdout.columns ?? 120, rowsMax: 10 };
  const colour = isLively(terminal, 'stdout');
  await write(terminal.stdout, `${renderDemo(view(), { ...style, colour }).join('\n')}\n`);
}

/** Every topology has read, and committed, all there is. */
async function caughtUp(terminal: Terminal, engine: Engine): Promise<void> {
  while (!terminal.stopped.aborted && lagOf(engine) > 0) {
    const { healthy, reasons } = engine.view.health();
    if (!healthy) throw new FatalError(reasons.join('; '), { code: 'ENGINE_FAILED' });
    await terminal.clock.sleep(CATCH_UP_POLL_MS, terminal.stopped).catch(() => {});
  }
}

/** Records; infinite while a topology has no task that could know. */
function lagOf(engine: Engine): number {
  let lag = 0;
  for (const { tasks } of engine.view.topologies()) {
    if (tasks.length === 0) return Number.POSITIVE_INFINITY;
    for (const task of tasks) for (const offset of task.offsets) lag += offset.lag;
  }
  return lag;
}

function demoView(engine: Engine, published: number, total: number): DemoView {
  const { live } = engine.view;
  const lag = lagOf(engine);
  return {
    url: engine.url,
    published,
    total,
    lag: Number.isFinite(lag) ? lag : 0,
    networks: ['mainnet', 'testnet', 'devnet'].flatMap((name) => live.network(name) ?? []),
    validators: live.validators({ sort: 'p99', limit: 50 }),
  };
}

/** Redraws in place at a terminal; elsewhere prints a line now and then. */
function draw(terminal: Terminal, view: () => DemoView): () => void {
  const { stdout, clock } = terminal;
  if (stdout.isTTY !== true) {
    return clock.every(PLAIN_LINE_MS, () => {
      const { published, total, lag } = view();
      stdout.write(`${published} of ${total} recorded votes published, ${lag} to be read\n`);
    });
  }
  let drawnLines = 0;
  return clock.every(REDRAW_MS, () => {
    const height = (stdout as { rows?: number }).rows ?? 24;
    const lines = renderDemo(view(), {
      width: stdout.columns ?? 80,
      rowsMax: Math.max(1, height - 14),
      colour: isLively(terminal, 'stdout'),
    });
    const back = drawnLines === 0 ? '' : `\x1b[${drawnLines}A\x1b[0J`;
    stdout.write(`${back}${lines.join('\n')}\n`);
    drawnLines = lines.length;
  });
}
