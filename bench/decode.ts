/**
 * Votes decoded per second on one core, ours beside `JSON.parse` of the same bytes in the same run: 2,000
 * validators, batches of 8,000 records. `node bench/decode.ts [rounds]` prints minimum, median and maximum of the
 * rounds; the clock is this thread's CPU time, so that the machine's other load counts little.
 */
import { integer, recordCodec, text } from '../src/stream/codecs/index.ts';
import { recordBatchOf } from '../src/stream/index.ts';
import { mulberry32 } from '../test/support/mulberry32.ts';

const VALIDATORS = 2_000;
const RECORDS = 8_000;
const BATCHES = 25;
/** How often a round decodes them all: CPU time is counted in steps of some milliseconds. */
const REPEATS = 8;
const rounds = Number(process.argv[2] ?? 9);

const base58 = /^[1-9A-HJ-NP-Za-km-z]{32,44}$/;
const votes = recordCodec({
  name: 'vote',
  timestamp: 'timestamp',
  fields: {
    validator: text({ maxBytes: 44, pattern: base58 }),
    voteAccount: text({ maxBytes: 44, pattern: base58 }),
    network: text({
      maxBytes: 16,
      oneOf: ['mainnet', 'testnet', 'devnet'],
      rejectCode: 'UNKNOWN_NETWORK',
    }),
    votedSlot: integer({ min: 0 }),
    landedSlot: integer({ min: 0 }),
    timestamp: integer({ min: 0 }),
    slotMs: integer({ min: 1, optional: true }),
  },
  check: ({ votedSlot, landedSlot }) =>
    landedSlot < votedSlot
      ? { code: 'LANDED_BEFORE_VOTED', message: 'landedSlot is below votedSlot' }
      : undefined,
});

const share = mulberry32(11);
const letters = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const publicKey = () =>
  Array.from({ length: share() < 0.9 ? 44 : 43 }, () => letters[Math.floor(share() * 58)]).join('');
const validators = Array.from({ length: VALIDATORS }, () => [publicKey(), publicKey()] as const);

const batches = Array.from({ length: BATCHES }, (_, b) =>
  recordBatchOf(
    'votes',
    0,
    Array.from({ length: RECORDS }, (_, i) => {
      const [validator, voteAccount] = validators[Math.floor(share() * VALIDATORS)] as [
        string,
        string,
      ];
      const votedSlot = 356_797_318 + b * 4 + Math.floor(i / VALIDATORS);
      const value = JSON.stringify({
        validator,
        voteAccount,
        network: 'mainnet',
        votedSlot,
        landedSlot: votedSlot + (share() < 0.83 ? 1 : 2),
        timestamp: 1_757_502_201_000 + b * 1_600 + i,
        ...(process.argv.includes('--optional') && share() < 0.5 ? { slotMs: 400 } : {}),
      });
      return { key: validator, value, offset: b * RECORDS + i, timestamp: 0 };
    }),
  ),
);
const valueBytes = batches[0]?.valueEnd.reduce(
  (sum, end, i) => sum + end - (batches[0]?.valueStart[i] as number),
  0,
) as number;

const decoder = votes.createDecoder();

/** Votes per second of this thread's CPU time, in millions. */
function measure(decode: () => number): number {
  const start = process.threadCpuUsage();
  let decoded = 0;
  for (let i = 0; i < REPEATS; i++) decoded += decode();
  const { user, system } = process.threadCpuUsage(start);
  if (decoded !== REPEATS * BATCHES * RECORDS)
    throw new Error(`only ${decoded} records were decoded`);
  return decoded / (user + system);
}

const ours = () => {
  let decoded = 0;
  for (const batch of batches) {
    const { selected } = decoder.decode(batch);
    decoded += selected?.length ?? batch.count;
  }
  return decoded;
};

const parsed = () => {
  let decoded = 0;
  for (const { bytes, count, valueStart, valueEnd } of batches) {
    for (let i = 0; i < count; i++) {
      const vote = JSON.parse(bytes.toString('utf8', valueStart[i], valueEnd[i]));
      if (vote.landedSlot >= vote.votedSlot) decoded++;
    }
  }
  return decoded;
};

const results = Array.from({ length: rounds + 2 }, () => {
  const theirs = measure(parsed);
  const mine = measure(ours);
  return { mine, theirs, ratio: mine / theirs };
}).slice(2);

const spread = (figures: number[]) => {
  figures.sort((a, b) => a - b);
  const [low, middle, high] = [0, figures.length >> 1, figures.length - 1];
  return [low, middle, high].map((i) => (figures[i] as number).toFixed(2)).join(' / ');
};
console.log(
  `values of ${(valueBytes / RECORDS).toFixed(0)} bytes; min / median / max of ${rounds}`,
);
console.log(`record codec   ${spread(results.map((r) => r.mine))} M votes/s`);
console.log(`JSON.parse     ${spread(results.map((r) => r.theirs))} M votes/s`);
console.log(`ratio          ${spread(results.map((r) => r.ratio))}`);
