/**
 * Adds per second over 2,000 keys, our digest beside npm `tdigest`, in one process: vote latencies (83 % are 1)
 * and exponential values. `node bench/digest.ts [rounds]` prints median and range of the rounds.
 */
import { createRequire } from 'node:module';
import { Summary, TDigest } from '../src/stats/index.ts';
import { mulberry32 } from '../test/support/mulberry32.ts';

const KEYS = 2_000;
const ADDS = 1_000_000;
const rounds = Number(process.argv[2] ?? 5);

interface OtherDigest {
  push(x: number): void;
}
const { TDigest: OtherDigest } = createRequire(import.meta.url)('tdigest') as {
  TDigest: new () => OtherDigest;
};

const share = mulberry32(7);
const keys = Int32Array.from({ length: ADDS }, () => Math.floor(share() * KEYS));
/** Shares as recorded on testnet: 82.8 % 1, 15.2 % 2, 1.5 % 3, the rest up to 71. */
const latencies = Float64Array.from({ length: ADDS }, () => {
  const u = share();
  if (u < 0.828) return 1;
  if (u < 0.98) return 2;
  return u < 0.995 ? 3 : 4 + Math.floor(share() ** 4 * 68);
});
const exponential = Float64Array.from({ length: ADDS }, () => -Math.log(1 - share()));

/** Adds per second, in millions, of filling fresh digests of all keys. */
function measure(values: Float64Array, add: () => (key: number, x: number) => void): number {
  const addTo = add();
  const start = performance.now();
  for (let i = 0; i < ADDS; i++) addTo(keys[i] as number, values[i] as number);
  return ADDS / (performance.now() - start) / 1_000;
}

const subjects: Record<string, () => (key: number, x: number) => void> = {
  'our TDigest': () => {
    const digests = Array.from({ length: KEYS }, () => new TDigest());
    return (key, x) => (digests[key] as TDigest).add(x);
  },
  'our Summary': () => {
    const summaries = Array.from({ length: KEYS }, () => new Summary());
    return (key, x) => (summaries[key] as Summary).add(x);
  },
  'npm tdigest': () => {
    const digests = Array.from({ length: KEYS }, () => new OtherDigest());
    return (key, x) => (digests[key] as OtherDigest).push(x);
  },
};

for (const [name, values] of Object.entries({ 'vote latencies': latencies, exponential })) {
  const figures = new Map<string, number[]>(Object.keys(subjects).map((subject) => [subject, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [subject, make] of Object.entries(subjects)) {
      figures.get(subject)?.push(measure(values, make));
    }
  }
  for (const [subject, all] of figures) {
    all.sort((a, b) => a - b);
    const [low, median, high] = [all[0], all[all.length >> 1], all.at(-1)] as [
      number,
      number,
      number,
    ];
    console.log(
      `${name.padEnd(15)} ${subject}  ${median.toFixed(2)} M adds/s (${low.toFixed(2)}–${high.toFixed(2)}), ${(1_000 / median).toFixed(0)} ns each`,
    );
  }
}
