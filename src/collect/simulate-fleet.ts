/**
 * A made-up fleet: readings as `tidemark agent` gives them, with the rhythm of a day, noise that remembers, and
 * faults whose labels are known beforehand. The same seed gives the same bytes, in event time: as fast as asked.
 */
import { days, hours, minutes, type SystemMetric } from '../model/index.ts';
import { seededRandom } from './seeded-random.ts';

export type FaultKind =
  | 'cpu-saturated'
  | 'memory-leak'
  | 'disk-filling'
  | 'network-burst'
  | 'host-down';

export const faultKinds: readonly FaultKind[] = [
  'cpu-saturated',
  'memory-leak',
  'disk-filling',
  'network-burst',
  'host-down',
];

/** What was put in, and where it shows. Half-open, ms of event time. */
export interface FleetFault {
  readonly host: string;
  readonly kind: FaultKind;
  readonly from: number;
  readonly to: number;
  /** The series that shows it; none of a host that is down. */
  readonly metricType: SystemMetric['metricType'] | null;
  readonly field: string | null;
  readonly tags: Readonly<Record<string, string>>;
}

export interface SimulateFleetOptions {
  readonly seed?: number;
  /** Default 5. */
  readonly hosts?: number;
  /** Event time of the first reading, ms. */
  readonly startMs: number;
  /** End without bound: absent. */
  readonly durationMs?: number;
  /** Between two readings of a host. Default 10,000. */
  readonly intervalMs?: number;
  /** Faults are drawn at this rate; 0: none. Default 0.5. */
  readonly faultsPerHostDay?: number;
  /** These faults, instead of drawn ones. */
  readonly faults?: readonly FleetFault[];
}

/** Readings of a host at one time: cpu, memory, two disks, network, process. */
export const READINGS_PER_HOST = 6;

const DAY_MS = days(1);
const GIB = 1_024 ** 3;
const REGIONS = ['eu-central', 'us-east', 'ap-south'] as const;
const SERVICES = ['api', 'database', 'cache', 'worker'] as const;

interface SimulatedHost {
  readonly index: number;
  readonly place: Pick<SystemMetric, 'host' | 'region' | 'environment' | 'service'>;
  readonly random: () => number;
  /** Within the interval, so that a fleet does not report in one instant. */
  readonly offsetMs: number;
  readonly peakMs: number;
  readonly cpuBase: number;
  readonly memoryBase: number;
  readonly diskBase: readonly [number, number];
  /** Of a disk, percent in a day. */
  readonly diskGrowth: number;
  readonly cores: number;
  noise: { cpu: number; memory: number; network: number; disk: number };
  load5: number;
  load15: number;
  received: number;
  sent: number;
}

export const hostName = (index: number): string => `host-${String(index + 1).padStart(3, '0')}`;

/** The faults that `simulateFleet` puts into this stretch, by time. */
export function faultsOf(
  options: SimulateFleetOptions & { readonly durationMs: number },
): readonly FleetFault[] {
  const { hosts = 5, seed = 1, startMs, durationMs, faultsPerHostDay = 0.5 } = options;
  if (options.faults !== undefined) return options.faults;
  const all: FleetFault[] = [];
  for (let index = 0; index < hosts; index++) {
    for (const fault of drawnFaults(
      hostName(index),
      faultSeed(seed, index),
      startMs,
      faultsPerHostDay,
    )) {
      if (fault.from >= startMs + durationMs) break;
      all.push(fault);
    }
  }
  return all.sort((a, b) => a.from - b.from);
}

/** In order of time. */
export function* simulateFleet(
  options: SimulateFleetOptions,
): Generator<SystemMetric, void, undefined> {
  const { seed = 1, startMs, intervalMs = 10_000 } = options;
  const count = options.hosts ?? 5;
  const endMs = startMs + (options.durationMs ?? Number.POSITIVE_INFINITY);
  const hosts = Array.from({ length: count }, (_, index) => hostOf(index, seed, intervalMs));
  hosts.sort((a, b) => a.offsetMs - b.offsetMs);
  const schedules = hosts.map((host) => scheduleOf(host, options));
  for (let tick = startMs; tick < endMs; tick += intervalMs) {
    for (const [i, host] of hosts.entries()) {
      const now = tick + host.offsetMs;
      if (now >= endMs) break;
      const fault = schedules[i]?.(now);
      // Noise goes on while a host is down, so that one fault changes nothing of another's readings.
      const readings = readingsOf(host, now, startMs, intervalMs, fault);
      if (fault?.kind !== 'host-down') yield* readings;
    }
  }
}

const faultSeed = (seed: number, index: number): number =>
  Math.imul(seed, 7_919) + index + 1_000_003;

/** First fault after a quiet half day; then one at a time, with pauses of at least two hours. */
function* drawnFaults(
  host: string,
  seed: number,
  startMs: number,
  perDay: number,
): Generator<FleetFault, void, undefined> {
  if (!(perDay > 0)) return;
  const random = seededRandom(seed);
  const share = () => random() / 2 ** 32;
  let at = startMs + hours(12);
  for (;;) {
    at += hours(2) + Math.round((-Math.log(1 - share()) * DAY_MS) / perDay);
    const kind = faultKinds[random() % faultKinds.length] as FaultKind;
    const lengthMs = minutes(20 + (random() % 41));
    yield faultOf(host, kind, at, at + lengthMs);
    at += lengthMs;
  }
}

/** A fault by its kind, with the series that shows it. */
export function faultOf(host: string, kind: FaultKind, from: number, to: number): FleetFault {
  const shows = {
    'cpu-saturated': ['cpu', 'usage_percent', {}],
    'memory-leak': ['memory', 'used_percent', {}],
    'disk-filling': ['disk', 'used_percent', { mount: '/data' }],
    'network-burst': ['network', 'rx_bytes_per_second', { interface: 'eth0' }],
    'host-down': [null, null, {}],
  } as const;
  const [metricType, field, tags] = shows[kind];
  return { host, kind, from, to, metricType, field, tags };
}

/** A function from a time, asked in order, to the fault then. */
function scheduleOf(
  host: SimulatedHost,
  options: SimulateFleetOptions,
): (now: number) => FleetFault | undefined {
  const { startMs, seed = 1, faultsPerHostDay = 0.5 } = options;
  const name = host.place.host;
  const own = options.faults
    ?.filter((fault) => fault.host === name)
    .sort((a, b) => a.from - b.from);
  const ahead =
    own?.values() ?? drawnFaults(name, faultSeed(seed, host.index), startMs, faultsPerHostDay);
  let next = ahead.next().value as FleetFault | undefined;
  return (now) => {
    while (next !== undefined && now >= next.to)
      next = ahead.next().value as FleetFault | undefined;
    return next !== undefined && now >= next.from ? next : undefined;
  };
}

function hostOf(index: number, seed: number, intervalMs: number): SimulatedHost {
  const random = seededRandom(Math.imul(seed, 104_729) + index);
  const between = (low: number, high: number) => low + ((high - low) * random()) / 2 ** 32;
  return {
    index,
    place: {
      host: hostName(index),
      region: REGIONS[index % REGIONS.length] as string,
      environment: index % 5 === 4 ? 'staging' : 'production',
      service: SERVICES[index % SERVICES.length] as string,
    },
    random,
    offsetMs: Math.floor(between(0, intervalMs)),
    peakMs: hours(12) + Math.floor(between(0, hours(6))),
    cpuBase: between(25, 35),
    memoryBase: between(40, 60),
    diskBase: [between(30, 55), between(30, 55)],
    diskGrowth: between(0.05, 0.4),
    cores: 2 ** (1 + (random() % 4)),
    noise: { cpu: 0, memory: 0, network: 0, disk: 0 },
    load5: 0,
    load15: 0,
    received: 0,
    sent: 0,
  };
}

function readingsOf(
  host: SimulatedHost,
  now: number,
  startMs: number,
  intervalMs: number,
  fault: FleetFault | undefined,
): SystemMetric[] {
  const { noise, cores } = host;
  noise.cpu = 0.8 * noise.cpu + 2 * (uniform(host) + uniform(host));
  noise.memory = 0.95 * noise.memory + 0.5 * (uniform(host) + uniform(host));
  noise.disk = 0.9 * noise.disk + 0.1 * (uniform(host) + uniform(host));
  noise.network = 0.8 * noise.network + 0.1 * (uniform(host) + uniform(host));
  const rhythm = Math.cos((2 * Math.PI * (now - host.peakMs)) / DAY_MS);
  const kind = fault?.kind;
  /** 0 … 1 over the first half of the fault. */
  const ramp =
    fault === undefined ? 0 : Math.min(1, (2 * (now - fault.from)) / (fault.to - fault.from));

  const usage =
    kind === 'cpu-saturated'
      ? 97 + uniform(host)
      : clamp(host.cpuBase + 12 * rhythm + noise.cpu, 1, 99);
  const load1 = (usage / 100) * cores;
  const seconds = intervalMs / 1_000;
  host.load5 += (load1 - host.load5) * (1 - Math.exp(-seconds / 300));
  host.load15 += (load1 - host.load15) * (1 - Math.exp(-seconds / 900));

  const memory = clamp(host.memoryBase + 5 * rhythm + noise.memory, 5, 99);
  const memoryUsed = kind === 'memory-leak' ? memory + (96 - memory) * ramp : memory;

  const base = 2e6 * (1.4 + rhythm) * Math.exp(noise.network);
  const rate = kind === 'network-burst' ? base * 25 : base;
  if (kind !== 'host-down') {
    host.received += rate * seconds;
    host.sent += rate * 0.4 * seconds;
  }
  const metric = (
    metricType: SystemMetric['metricType'],
    fields: Readonly<Record<string, number>>,
    tags?: Readonly<Record<string, string>>,
  ): SystemMetric => ({
    ...host.place,
    metricType,
    timestamp: now,
    ...(tags === undefined ? {} : { tags }),
    fields,
  });
  const disk = (mount: string, base: number, percent: number) =>
    metric('disk', diskFields(Math.min(99, base + percent + noise.disk)), { mount });
  const grown = (host.diskGrowth * (now - startMs)) / DAY_MS;
  const data = host.diskBase[1] + grown;
  return [
    metric('cpu', {
      usage_percent: rounded(usage),
      load1: rounded(load1),
      load5: rounded(host.load5),
      load15: rounded(host.load15),
      count: cores,
      frequency_mhz: 2_400 + Math.round(6 * usage),
    }),
    metric('memory', {
      total_bytes: 16 * GIB,
      used_bytes: Math.round((16 * GIB * memoryUsed) / 100),
      available_bytes: Math.round((16 * GIB * (100 - memoryUsed)) / 100),
      used_percent: rounded(memoryUsed),
      swap_total_bytes: 2 * GIB,
      swap_used_bytes: 0,
      swap_used_percent: 0,
    }),
    disk('/', host.diskBase[0], grown / 4),
    disk('/data', data, kind === 'disk-filling' ? (95 - data) * ramp : 0),
    metric(
      'network',
      {
        rx_bytes_total: Math.round(host.received),
        tx_bytes_total: Math.round(host.sent),
        rx_errors_total: 0,
        tx_errors_total: 0,
        rx_bytes_per_second: Math.round(rate),
        tx_bytes_per_second: Math.round(rate * 0.4),
      },
      { interface: 'eth0' },
    ),
    metric('process', {
      count: 180 + Math.round(20 * rhythm + 2 * noise.cpu),
      running: 1 + (host.random() % 4),
      uptime_seconds: 864_000 + Math.floor((now - startMs) / 1_000),
    }),
  ];
}

function diskFields(percent: number): Readonly<Record<string, number>> {
  const total = 500 * GIB;
  const used = Math.round((total * percent) / 100);
  return {
    total_bytes: total,
    used_bytes: used,
    available_bytes: total - used,
    used_percent: rounded(percent),
  };
}

/** In (−1, 1). */
const uniform = (host: SimulatedHost): number => (2 * host.random()) / 2 ** 32 - 1;

const clamp = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x));
const rounded = (x: number): number => Math.round(x * 1_000) / 1_000;
