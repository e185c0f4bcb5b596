/**
 * The bundled recording: real votes of Solana's testnet (data/README.md), for the demo and for tests that
 * want the world's own unevenness.
 */
import { readFileSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import type { SimulatedVote } from './simulate-votes.ts';

/** From the sources, and from the compiled files one folder further down. */
const candidates = [
  new URL('../../data/votes-testnet.ndjson.zst', import.meta.url),
  new URL('../../../data/votes-testnet.ndjson.zst', import.meta.url),
];

const beforeKey = Buffer.from('{"validator":"');
const quote = 0x22;
const newline = 0x0a;

/**
 * All 67,980 records by landed slot, key and value as topic `votes` has them. Unpacks at the first step
 * (15 MB, some 20 ms).
 * @throws the file system's error when the package's data folder is missing.
 */
export function* recordedVotes(): Generator<SimulatedVote, void, undefined> {
  const lines = zstdDecompressSync(readRecording());
  for (let start = 0; start < lines.length; ) {
    const end = lines.indexOf(newline, start);
    const keyStart = start + beforeKey.length;
    yield {
      key: lines.subarray(keyStart, lines.indexOf(quote, keyStart)),
      value: lines.subarray(start, end),
    };
    start = end + 1;
  }
}

function readRecording(): Buffer {
  try {
    return readFileSync(candidates[0]!);
  } catch {
    return readFileSync(candidates[1]!);
  }
}
