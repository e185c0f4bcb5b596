/**
 * Makes `votes-testnet.ndjson.zst` from the decoded vote accounts (data/README.md):
 *
 *   node data/make-votes.ts [../shared/data/solana-testnet-votes/testnet-356797362_votes.csv.gz]
 *
 * The same input gives the same lines. zstd, because gzip's window of 32 KiB does not reach back one slot
 * (2,193 votes, 460 kB) and would make thirteen times as much of it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gunzipSync, zstdCompressSync } from 'node:zlib';

/** One slot whose wall-clock time the accounts tell, and the time between slots. */
const knownSlot = 356_797_361;
const knownSlotMs = 1_757_502_201_000;
const slotMs = 400;

const input =
  process.argv[2] ??
  join(
    import.meta.dirname,
    '../../shared/data/solana-testnet-votes/testnet-356797362_votes.csv.gz',
  );
const [header = '', ...rows] = gunzipSync(readFileSync(input)).toString('utf8').trim().split('\n');
const names = header.split(',');
const columnOf = (name: string) => {
  const index = names.indexOf(name);
  if (index < 0) throw new Error(`${input}: no column ${name}`);
  return index;
};
const voteAccount = columnOf('vote_account');
const validator = columnOf('node_pubkey');
const votedSlot = columnOf('voted_slot');
const landedSlot = columnOf('landed_slot');

const votes = rows.map((row) => {
  const fields = row.split(',');
  const landed = Number(fields[landedSlot]);
  return {
    validator: fields[validator],
    voteAccount: fields[voteAccount],
    network: 'testnet',
    votedSlot: Number(fields[votedSlot]),
    landedSlot: landed,
    timestamp: knownSlotMs + (landed - knownSlot) * slotMs,
  };
});
// Stable: votes that landed in one slot keep the order of the file.
votes.sort((a, b) => a.landedSlot - b.landedSlot);

const bytes = Buffer.from(votes.map((vote) => `${JSON.stringify(vote)}\n`).join(''));
const packed = zstdCompressSync(bytes, {
  params: {
    [constants.ZSTD_c_compressionLevel]: 19,
    [constants.ZSTD_c_windowLog]: 24,
    [constants.ZSTD_c_checksumFlag]: 1,
  },
});
const output = join(import.meta.dirname, 'votes-testnet.ndjson.zst');
writeFileSync(output, packed);

const identities = new Set(votes.map((vote) => `${vote.voteAccount} ${vote.votedSlot}`));
const times = votes.map((vote) => vote.timestamp);
process.stdout.write(
  `${output}: ${packed.length} bytes, ${votes.length} records, ${identities.size} distinct, ` +
    `${votes.length - identities.size} duplicates, ` +
    `${new Date(times[0] ?? 0).toISOString()} to ${new Date(times.at(-1) ?? 0).toISOString()}\n`,
);
