/**
 * Rollup tasks where KairosDB keeps them (service index, spec §12), so that a shared keyspace shares them:
 *
 *   _Rollups Config      task id → its JSON
 *   _Rollups Status      task id → how its last run went
 *   _Rollups Assignment  task id → guid of the Java server that runs it; read only here
 *   _Hosts   Active      guid → host name of each Java server, written anew every half minute
 *   _Tidemark Rollups    task id → the ledger of runs, only ever changed by compare-and-set
 */
import { gsonText } from '../../query/index.ts';
import { type DateFields, dateFields } from './java-date.ts';

export interface ServiceTable {
  readServiceValue(
    service: string,
    serviceKey: string,
    key: string,
  ): Promise<{ readonly value: string; readonly writtenAtMs: number } | undefined>;
  writeServiceValue(service: string, serviceKey: string, key: string, value: string): Promise<void>;
  deleteServiceValue(service: string, serviceKey: string, key: string): Promise<void>;
  keysOfService(service: string, serviceKey: string, prefix?: string): Promise<readonly string[]>;
}

export interface LedgerTable extends ServiceTable {
  /** Only when the value is still `expected`; false when it is not. Values it has touched no other write may touch. */
  replaceServiceValue(
    service: string,
    serviceKey: string,
    key: string,
    change: { readonly expected: string | undefined; readonly value: string | undefined },
  ): Promise<boolean>;
}

export interface StoredTask {
  readonly id: string;
  /** As it is stored and answered. */
  readonly json: string;
  readonly writtenAtMs: number;
}

/** What KairosDB says of one query of the last run. */
export interface QueryStatus {
  readonly metricName: string;
  /** 0 = never. */
  readonly lastExecutionTime: number;
  readonly dataPointCount: number;
  readonly executionLength: number;
  readonly errorMessage?: string;
}

export interface TaskStatus {
  readonly statuses: readonly QueryStatus[];
  readonly executingHost: string;
  readonly nextScheduledMs: number;
}

const ROLLUPS = '_Rollups';
/** A Java server that has not been heard of for so long is gone (it looks after itself every 30 s). */
const HOST_SILENT_MS = 90_000;

export class RollupTasks {
  readonly #table: ServiceTable;

  constructor(table: ServiceTable) {
    this.#table = table;
  }

  async list(): Promise<readonly StoredTask[]> {
    const tasks: StoredTask[] = [];
    for (const id of await this.#table.keysOfService(ROLLUPS, 'Config')) {
      const task = await this.get(id);
      if (task !== undefined) tasks.push(task);
    }
    return tasks;
  }

  async get(id: string): Promise<StoredTask | undefined> {
    // KairosDB, and Cassandra, know no empty keys.
    if (id === '') return undefined;
    const found = await this.#table.readServiceValue(ROLLUPS, 'Config', id);
    if (found === undefined || found.value === '') return undefined;
    return { id, json: found.value, writtenAtMs: found.writtenAtMs };
  }

  put(id: string, json: string): Promise<void> {
    return this.#table.writeServiceValue(ROLLUPS, 'Config', id, json);
  }

  /** Its status goes with it; the ledger is the scheduler's to clear. */
  async delete(id: string): Promise<void> {
    await this.#table.deleteServiceValue(ROLLUPS, 'Config', id);
    await this.#table.deleteServiceValue(ROLLUPS, 'Status', id);
  }

  /** KairosDB's own JSON, or undefined when there is none or it can't be read. */
  async status(id: string): Promise<StoredStatus | undefined> {
    if (id === '') return undefined;
    const found = await this.#table.readServiceValue(ROLLUPS, 'Status', id);
    if (found === undefined) return undefined;
    try {
      const status = JSON.parse(found.value) as Partial<StoredStatus>;
      return Array.isArray(status.statuses) ? (status as StoredStatus) : undefined;
    } catch {
      return undefined;
    }
  }

  putStatus(id: string, { statuses, executingHost, nextScheduledMs }: TaskStatus): Promise<void> {
    const stored: StoredStatus = {
      statuses: statuses.map((each) => ({
        metricName: each.metricName,
        lastExecuted: javaDate(each.lastExecutionTime),
        dataPointCount: each.dataPointCount,
        executionLength: each.executionLength,
        ...(each.errorMessage === undefined ? {} : { errorMessage: each.errorMessage }),
        lastExecutionTime: each.lastExecutionTime,
      })),
      executingHost,
      nextScheduled: javaDate(nextScheduledMs),
    };
    return this.#table.writeServiceValue(ROLLUPS, 'Status', id, JSON.stringify(stored));
  }

  /** The Java server that runs this task, when one does that is alive. */
  async javaOwner(id: string, nowMs: number): Promise<string | undefined> {
    const assigned = await this.#table.readServiceValue(ROLLUPS, 'Assignment', id);
    if (assigned === undefined) return undefined;
    const host = await this.#table.readServiceValue('_Hosts', 'Active', assigned.value);
    if (host === undefined || nowMs - host.writtenAtMs > HOST_SILENT_MS) return undefined;
    return `${host.value} (${assigned.value})`;
  }
}

/** How KairosDB keeps a status. */
export interface StoredStatus {
  readonly statuses: readonly {
    readonly metricName: string;
    readonly lastExecuted: string;
    readonly dataPointCount: number;
    readonly executionLength: number;
    readonly errorMessage?: string;
    readonly lastExecutionTime: number;
  }[];
  readonly executingHost: string;
  readonly nextScheduled: string;
}

/** A status as the interface answers it. */
export function statusJson({ statuses, executingHost, nextScheduled }: StoredStatus): string {
  return gsonText({
    statuses: statuses.map((each) => ({
      metric_name: each.metricName,
      last_executed: each.lastExecuted,
      data_point_count: each.dataPointCount,
      execution_length: each.executionLength,
      ...(each.errorMessage === undefined ? {} : { error_message: each.errorMessage }),
      last_execution_time: each.lastExecutionTime,
    })),
    executing_host: executingHost,
    next_scheduled: nextScheduled,
  });
}

/** `dd MMM yyyy KK:mm:ss a` in UTC, where the first hour is 00, at noon too; `Never` for 0. */
function javaDate(ms: number): string {
  if (ms === 0) return 'Never';
  const { day, month, year, hours, minutes, seconds }: DateFields = dateFields(ms);
  const two = (number: number) => String(number).padStart(2, '0');
  const time = [hours % 12, minutes, seconds].map(two).join(':');
  return `${two(day)} ${month} ${year} ${time} ${hours < 12 ? 'AM' : 'PM'}`;
}
