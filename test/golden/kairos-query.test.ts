/** What a real KairosDB answered, ours answers on the embedded store. How it was recorded: kairos-query/record.ts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { embeddedWideRows } from '../../src/databases/embedded/index.ts';
import { kairosQuerySuite } from './kairos-query/suite.ts';

kairosQuerySuite(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-kairos-golden-'));
  const rows = embeddedWideRows({ dataDirectory: directory });
  return {
    rows,
    async close() {
      await rows.close();
      rmSync(directory, { recursive: true });
    },
  };
});
