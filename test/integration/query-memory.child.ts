/** Answers one query over the embedded store in DIRECTORY, and says how much memory it held at most beside what it began with. */
import { embeddedWideRows } from '../../src/databases/embedded/index.ts';
import { KairosStore } from '../../src/databases/kairos/index.ts';
import { parseQuery, runQuery } from '../../src/query/index.ts';

const [directory = '', text = ''] = process.argv.slice(2);
const store = new KairosStore({ rows: embeddedWideRows({ dataDirectory: directory }) });
await store.connect();
/** What is in use: without what nobody holds any more, which the second collection waits for. */
function heldBytes(): number {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('run with --expose-gc');
  gc();
  gc();
  return process.memoryUsage().arrayBuffers;
}

const PAGES_PER_LOOK = 20;
let pages = 0;
let points = 0;
let bufferBytesMax = 0;
const counted = {
  spec: store.spec,
  findRows: (query: Parameters<typeof store.findRows>[0]) => store.findRows(query),
  *readRowAtHand(...[row, options]: Parameters<typeof store.readRow>) {
    for (const page of store.readRowAtHand(row, options) ?? []) {
      points += page.times.length;
      if (pages++ % PAGES_PER_LOOK === 0) bufferBytesMax = Math.max(bufferBytesMax, heldBytes());
      yield page;
    }
  },
};
const { parts } = await runQuery(counted as never, parseQuery(text, 0));
await store.close();
process.stdout.write(JSON.stringify({ points, bufferBytesMax, answer: parts.join('') }));
