/** Reads this host as the fleet's records have it [S1]. A part that can't be read is left out; the others still come. */
import { createRequire } from 'node:module';
import type { SystemMetric } from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';

/** Loaded where a host is read: few processes do. */
const require = createRequire(import.meta.url);
const system = () => require('systeminformation') as typeof import('systeminformation');

export type HostPlace = Pick<SystemMetric, 'host' | 'region' | 'environment' | 'service'>;

export interface HostReaderParts {
  readonly place: HostPlace;
  readonly clock: Pick<Clock, 'now'>;
  /** Called for each part that could not be read. */
  readonly failed?: (part: string, error: unknown) => void;
}

type Fields = Readonly<Record<string, number | null | undefined>>;
type Reading = Pick<SystemMetric, 'metricType' | 'tags'> & { readonly fields: Fields };

/** A function that gives the readings of now, all with one time; rates come from the second call on. */
export function hostReader({
  place,
  clock,
  failed,
}: HostReaderParts): () => Promise<readonly SystemMetric[]> {
  const network = networkReader(clock);
  const parts: Readonly<Record<string, () => Promise<readonly Reading[]>>> = {
    cpu: readCpu,
    memory: readMemory,
    disk: readDisks,
    network,
    process: readProcesses,
  };
  return async () => {
    const timestamp = clock.now();
    const readings: SystemMetric[] = [];
    for (const [part, read] of Object.entries(parts)) {
      try {
        for (const { fields, ...reading } of await read()) {
          const known = numbersOf(fields);
          if (Object.keys(known).length > 0)
            readings.push({ ...place, ...reading, timestamp, fields: known });
        }
      } catch (error) {
        failed?.(part, error);
      }
    }
    return readings;
  };
}

/** What a system does not tell is no field. */
function numbersOf(fields: Fields): Readonly<Record<string, number>> {
  const known = Object.entries(fields).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number' && Number.isFinite(entry[1]),
  );
  return Object.fromEntries(known);
}

async function readCpu(): Promise<readonly Reading[]> {
  const [load, speed, { loadavg, cpus }] = await Promise.all([
    system().currentLoad(),
    system().cpuCurrentSpeed(),
    import('node:os'),
  ]);
  const [load1, load5, load15] = loadavg();
  const fields = {
    usage_percent: load.currentLoad,
    load1,
    load5,
    load15,
    count: load.cpus.length || cpus().length,
    // A virtual machine may not know.
    frequency_mhz: speed.avg > 0 ? Math.round(speed.avg * 1_000) : undefined,
  };
  return [{ metricType: 'cpu', fields }];
}

async function readMemory(): Promise<readonly Reading[]> {
  const memory = await system().mem();
  const used = memory.total - memory.available;
  const fields = {
    total_bytes: memory.total,
    used_bytes: used,
    available_bytes: memory.available,
    used_percent: (100 * used) / memory.total,
    swap_total_bytes: memory.swaptotal,
    swap_used_bytes: memory.swapused,
    swap_used_percent: memory.swaptotal > 0 ? (100 * memory.swapused) / memory.swaptotal : 0,
  };
  return [{ metricType: 'memory', fields }];
}

async function readDisks(): Promise<readonly Reading[]> {
  const disks = await system().fsSize();
  return disks
    .filter(({ size, mount }) => size > 0 && mount !== '')
    .map(({ mount, size, used, available, use }) => ({
      metricType: 'disk',
      tags: { mount },
      fields: {
        total_bytes: size,
        used_bytes: used,
        available_bytes: available,
        used_percent: use,
      },
    }));
}

interface Counted {
  readonly atMs: number;
  readonly received: number;
  readonly sent: number;
}

function networkReader(clock: Pick<Clock, 'now'>): () => Promise<readonly Reading[]> {
  const before = new Map<string, Counted>();
  return async () => {
    const interfaces = await system().networkStats('*');
    const now = clock.now();
    return interfaces.map((stats) => {
      const last = before.get(stats.iface);
      const seconds = last === undefined ? 0 : (now - last.atMs) / 1_000;
      before.set(stats.iface, { atMs: now, received: stats.rx_bytes, sent: stats.tx_bytes });
      // A counter that went back began anew.
      const rate = (count: number, counted: number | undefined) =>
        counted === undefined || seconds <= 0 || count < counted
          ? undefined
          : (count - counted) / seconds;
      return {
        metricType: 'network',
        tags: { interface: stats.iface },
        fields: {
          rx_bytes_total: stats.rx_bytes,
          tx_bytes_total: stats.tx_bytes,
          rx_errors_total: stats.rx_errors,
          tx_errors_total: stats.tx_errors,
          rx_dropped_total: stats.rx_dropped,
          tx_dropped_total: stats.tx_dropped,
          rx_bytes_per_second: rate(stats.rx_bytes, last?.received),
          tx_bytes_per_second: rate(stats.tx_bytes, last?.sent),
        },
      };
    });
  };
}

async function readProcesses(): Promise<readonly Reading[]> {
  const { all, running, sleeping, blocked } = await system().processes();
  const fields = { count: all, running, sleeping, blocked, uptime_seconds: system().time().uptime };
  return [{ metricType: 'process', fields }];
}
