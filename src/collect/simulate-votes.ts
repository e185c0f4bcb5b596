/**
 * Votes as a network of validators casts them, with the faults of a real feed: repeats, disorder, stragglers.
 * Every byte follows from the options. Made for load: values are put together from prepared pieces, so that
 * the simulator is never what a measurement measures.
 */
import { boundOf, seededRandom } from './seeded-random.ts';

export interface VoteSimulation {
  /** 32 bits. The same seed and options give the same bytes. */
  readonly seed: number;
  /** Default 2 000, each with one vote account. */
  readonly validators?: number;
  /** Of event time; nobody waits here. Default 5 000: 2 000 validators voting once in a slot of 400 ms. */
  readonly ratePerSecond?: number;
  /** Event time of the first vote, ms. */
  readonly startMs: number;
  /** Default `testnet`. */
  readonly network?: 'mainnet' | 'testnet' | 'devnet';
  /** Share of records that repeat one of the 4 096 punctual votes before them, byte for byte. Default 0.01. */
  readonly duplicateShare?: number;
  /** Share of records that are 1 ms to 20 s behind their neighbours: within the grace period. Default 0.05. */
  readonly outOfOrderShare?: number;
  /**
   * Share of records that are 31 s to 15 min behind: late, unless their window happens to be open still
   * (`VoteTruth` in test/support tells). Default 0.001.
   */
  readonly lateShare?: number;
  /** Records to make, repeats included; default: no end. */
  readonly count?: number;
}

export interface SimulatedVote {
  /** The validator's identity, as topic `votes` is keyed; one Buffer per validator, shared. */
  readonly key: Buffer;
  /** JSON of the contract's topic `votes`; never written again. */
  readonly value: Buffer;
}

/** First slot voted for: where the recorded testnet votes begin. */
const firstSlot = 356_797_318;

/** Latency in slots by share, as measured on testnet (data/README.md); the rest has 4 to 20. */
const latencyBounds = [boundOf(0.828), boundOf(0.98), boundOf(0.995)];

/** One validator in so many votes 30 to 70 slots behind the others, as one on testnet does. */
const laggardEvery = 400;

const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const punctualKept = 4096;
const slabBytes = 1 << 20;
/** Longer than any value: three texts of at most 44 characters, three numbers, the field names. */
const valueBytesMax = 320;

/**
 * An endless (or `count` long) sequence. A slot's round goes through all validators once, so (vote account,
 * voted slot) never repeats except in the duplicates asked for.
 * @throws RangeError when shares are negative or their sum is over 1, or there is no validator or no rate.
 */
export function* simulateVotes(options: VoteSimulation): Generator<SimulatedVote, void, undefined> {
  const { seed, startMs, network = 'testnet', count = Number.POSITIVE_INFINITY } = options;
  const { validators: size = 2000, ratePerSecond = 5000 } = options;
  const { duplicateShare = 0.01, outOfOrderShare = 0.05, lateShare = 0.001 } = options;
  if (!(size >= 1 && ratePerSecond > 0)) {
    throw new RangeError('simulateVotes: validators and ratePerSecond must be above 0');
  }
  const shares = [duplicateShare, outOfOrderShare, lateShare];
  if (!shares.every((share) => share >= 0) || duplicateShare + outOfOrderShare + lateShare > 1) {
    throw new RangeError('simulateVotes: shares must be 0 or more and at most 1 together');
  }

  const random = seededRandom(seed);
  const keys: Buffer[] = [];
  const prefixes: Buffer[] = [];
  for (let i = 0; i < size; i++) {
    const validator = publicKey(random);
    keys.push(Buffer.from(validator, 'latin1'));
    prefixes.push(
      Buffer.from(
        `{"validator":"${validator}","voteAccount":"${publicKey(random)}","network":"${network}","votedSlot":`,
        'latin1',
      ),
    );
  }
  const landed = Buffer.from(',"landedSlot":', 'latin1');
  const timestamp = Buffer.from(',"timestamp":', 'latin1');

  const duplicateBound = boundOf(duplicateShare);
  const outOfOrderBound = duplicateBound + boundOf(outOfOrderShare);
  const lateBound = outOfOrderBound + boundOf(lateShare);
  const punctual: SimulatedVote[] = [];
  const msPerVote = 1000 / ratePerSecond;

  let slab = Buffer.allocUnsafeSlow(slabBytes);
  let free = 0;
  let votes = 0;
  let punctualSeen = 0;
  let slot = firstSlot;
  let turn = 0;
  let rotation = random() % size;

  for (let made = 0; made < count; made++) {
    const fate = random();
    if (fate < duplicateBound && punctual.length > 0) {
      yield punctual[random() % punctual.length]!;
      continue;
    }
    let eventMs = startMs + Math.floor(votes * msPerVote);
    // A repeat asked for before there is anything to repeat becomes an ordinary vote.
    const isOutOfOrder = fate >= duplicateBound && fate < outOfOrderBound;
    const isStraggler = fate >= outOfOrderBound && fate < lateBound;
    if (isOutOfOrder) eventMs -= 1 + (random() % 20_000);
    if (isStraggler) eventMs -= 31_000 + (random() % 869_000);

    const voter = (turn + rotation) % size;
    const chance = random();
    let latency = 1;
    while (latency < 4 && chance >= latencyBounds[latency - 1]!) latency++;
    if (latency === 4) latency += chance % 17;
    if (voter % laggardEvery === laggardEvery - 1) latency += 30 + (chance % 41);

    if (free + valueBytesMax > slabBytes) {
      slab = Buffer.allocUnsafeSlow(slabBytes);
      free = 0;
    }
    const begin = free;
    const prefix = prefixes[voter]!;
    slab.set(prefix, free);
    free = writeDigits(slab, free + prefix.length, slot);
    slab.set(landed, free);
    free = writeDigits(slab, free + landed.length, slot + latency);
    slab.set(timestamp, free);
    free = writeDigits(slab, free + timestamp.length, eventMs);
    slab[free++] = 0x7d; // }
    const vote = { key: keys[voter]!, value: slab.subarray(begin, free) };

    if (!isOutOfOrder && !isStraggler) punctual[punctualSeen++ % punctualKept] = vote;
    votes++;
    if (++turn === size) {
      turn = 0;
      slot++;
      rotation = random() % size;
    }
    yield vote;
  }
}

/** 43 characters that decode to 32 bytes: 58^43 < 2^256, and a first digit of 4 or more makes it ≥ 2^248. */
function publicKey(random: () => number): string {
  let text = alphabet.charAt(4 + (random() % 54));
  while (text.length < 43) text += alphabet.charAt(random() % 58);
  return text;
}

/** Writes a whole number ≥ 0 in decimal at `at`; returns where it ends. */
function writeDigits(target: Buffer, at: number, value: number): number {
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits++;
  const end = at + digits;
  let high = value;
  let i = end - 1;
  // Above 31 bits JavaScript divides floats; nine digits at a time keep to integers.
  if (value > 0x7fffffff) {
    high = Math.floor(value / 1e9);
    let low = value - high * 1e9;
    for (let k = 0; k < 9; k++) {
      const rest = (low / 10) | 0;
      target[i--] = 48 + low - rest * 10;
      low = rest;
    }
  }
  if (high > 0x7fffffff) {
    throw new RangeError('simulateVotes: numbers beyond 2^31 × 10^9 are no times');
  }
  do {
    const rest = (high / 10) | 0;
    target[i--] = 48 + high - rest * 10;
    high = rest;
  } while (i >= at);
  return end;
}
