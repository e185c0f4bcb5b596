/** How often each word was said in the last ten minutes, anew each five: `{"text":"…","at":ms}` of topic `lines`. */
import {
  closed,
  count,
  flatMap,
  hopping,
  jsonCodec,
  minutes,
  seconds,
  topology,
  window,
} from 'tidemark';

interface Line {
  readonly text: string;
  readonly at: number;
}

const words = ({ text }: Line) =>
  String(text)
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
    .map((word) => ({ word }));

export const wordCount = topology('word-count', ({ source }) => {
  const windows = hopping({
    sizeMs: minutes(10),
    advanceMs: minutes(5),
    graceMs: seconds(30),
  });
  source('lines', jsonCodec<Line>({ timestamp: 'at' }))
    .pipe('words', flatMap(words))
    .pipe('per word', window({ by: ['word'], windows, aggregate: count() }))
    .pipe(
      'results',
      closed(({ key: [word = ''], start, end, state }) => ({
        word,
        start,
        end,
        count: state.count,
      })),
    )
    .to('words.10m', { key: (row) => row.word, value: (row) => JSON.stringify(row) });
});
