/** A vote as it stands in the topic `votes` (contract, Topics; mission V1). */
import { integer, number, recordCodec, text } from '../../src/stream/index.ts';

/** Keys are base58, 32 to 44 characters; the codec takes any text that long, so that test networks can name theirs. */
const pubkey = () => text({ maxBytes: 88 });

/**
 * A validator's vote landed in a block: `latency_slots` = landedSlot − votedSlot. Times in ms, slots whole numbers.
 * `slotMs`: length of a slot when the event knows it; else 400.
 */
export const voteCodec = recordCodec({
  name: 'vote',
  timestamp: 'timestamp',
  fields: {
    validator: pubkey(),
    voteAccount: pubkey(),
    network: text({
      maxBytes: 7,
      oneOf: ['mainnet', 'testnet', 'devnet'],
      rejectCode: 'UNKNOWN_NETWORK',
    }),
    votedSlot: integer({ min: 0 }),
    landedSlot: integer({ min: 0 }),
    timestamp: integer({ min: 0 }),
    slotMs: number({ min: 0, optional: true }),
  },
  check: (vote) =>
    vote.landedSlot < vote.votedSlot
      ? {
          code: 'LANDED_BEFORE_VOTED',
          message: `landedSlot ${vote.landedSlot} is before votedSlot ${vote.votedSlot}; a vote lands in a later slot or the same`,
        }
      : undefined,
});

export type Vote = ReturnType<ReturnType<typeof voteCodec.createDecoder>['decode']>['row'] extends (
  i: number,
) => infer T
  ? T
  : never;

export const SLOT_MS = 400;
