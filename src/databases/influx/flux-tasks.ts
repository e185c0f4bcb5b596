/**
 * Rollups that InfluxDB makes itself [V5, S2], for people who prefer the database to do it: tasks from the templates
 * in `data/flux`. They write to the stream's buckets under measurements of their own, never over the stream's points.
 */
import { readFileSync } from 'node:fs';
import type { InfluxConfig } from './config.ts';
import { errorOf, type InfluxReply, type InfluxRequest, request } from './http.ts';
import { type RollupStep, rollupBucket } from './schema.ts';
import { organisationId } from './setup.ts';

export interface FluxTask {
  /** As its script names it; what begins with `tidemark ` is ours to change. */
  readonly name: string;
  readonly flux: string;
}

export interface FluxTaskReport {
  readonly task: string;
  readonly done: 'created' | 'kept' | 'changed';
}

/** Of a step: when a run is planned (UTC), how long after that it begins, and how far back it looks. */
const SCHEDULES: Readonly<
  Record<RollupStep, { readonly cron: string; readonly offset: string; readonly back: string }>
> = {
  '5m': { cron: '*/5 * * * *', offset: '1m', back: '15m' },
  '1h': { cron: '0 * * * *', offset: '2m', back: '2h' },
  // Raw votes are kept for a day and a shard of an hour, so the first hour of yesterday is gone soon after one o'clock.
  '1d': { cron: '0 0 * * *', offset: '5m', back: '1d' },
};

/** `bucket` names another bucket instead of the usual one. */
export function fluxTasks(bucket: (name: string) => string = (name) => name): readonly FluxTask[] {
  const votes = readTemplate('vote-rollup.flux');
  const metrics = readTemplate('system-metrics-rollup.flux');
  const task = (name: string, template: string, step: RollupStep, from: string, into: string) => {
    const values = { ...SCHEDULES[step], step, raw: bucket(from), target: bucket(into) };
    return { name: `tidemark ${name} ${step}`, flux: filled(template, values) };
  };
  return [
    ...(['5m', '1h', '1d'] as const).map((step) =>
      task('vote-latency', votes, step, 'vote-latencies-raw', rollupBucket(step)),
    ),
    ...(['1h', '1d'] as const).map((step) =>
      task('system-metrics', metrics, step, 'system_metrics_raw', `system_metrics_${step}`),
    ),
  ];
}

interface StoredTask {
  readonly id: string;
  readonly name: string;
  readonly flux: string;
}

/**
 * Creates what is missing and gives a task of the same name the new script when it differs, one after another; a task
 * that an operator switched off stays off. Others are not touched. Needs a token that may read and write tasks.
 * Rejects as `setupBuckets` does.
 */
export async function setupFluxTasks(
  config: InfluxConfig,
  tasks: readonly FluxTask[],
  signal?: AbortSignal,
): Promise<readonly FluxTaskReport[]> {
  const orgID = await organisationId(config, signal);
  const reports: FluxTaskReport[] = [];
  for (const { name, flux } of tasks) {
    const reply = await call(config, `look up task "${name}"`, 200, {
      method: 'GET',
      path: '/api/v2/tasks',
      query: { orgID, name },
      signal,
    });
    const { tasks: found = [] } = reply.json as { tasks?: readonly StoredTask[] };
    // Names are not unique there: two setups at once may have made one twice, and both are kept up to date.
    const ours = found.filter((task) => task.name === name);
    const old = ours.filter((task) => task.flux !== flux);
    if (ours.length === 0) {
      await call(config, `create task "${name}"`, 201, {
        method: 'POST',
        path: '/api/v2/tasks',
        body: JSON.stringify({ orgID, flux }),
        signal,
      });
    }
    for (const { id } of old) {
      await call(config, `change task "${name}"`, 200, {
        method: 'PATCH',
        path: `/api/v2/tasks/${id}`,
        body: JSON.stringify({ flux }),
        signal,
      });
    }
    const done = ours.length === 0 ? 'created' : old.length > 0 ? 'changed' : 'kept';
    reports.push({ task: name, done });
  }
  return reports;
}

async function call(
  config: InfluxConfig,
  what: string,
  status: number,
  wanted: InfluxRequest,
): Promise<InfluxReply> {
  const headers = { 'content-type': 'application/json' };
  const reply = await request(config, { ...wanted, headers });
  if (reply.status !== status) throw errorOf(config, reply, { what });
  return reply;
}

/** Throws on a placeholder without a value: a template and this file don't fit together. */
function filled(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`BUG: a Flux template asks for {{${name}}}`);
    return value;
  });
}

/** From the sources, and from the compiled files one folder further down. */
function readTemplate(name: string): string {
  try {
    return readFileSync(new URL(`../../../data/flux/${name}`, import.meta.url), 'utf8');
  } catch {
    return readFileSync(new URL(`../../../../data/flux/${name}`, import.meta.url), 'utf8');
  }
}
