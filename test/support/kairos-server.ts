/** KairosDB's routes on an embedded store of a test's own, on a port or by `inject`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { createServer } from '../../src/api/index.ts';
import { embeddedWideRows } from '../../src/databases/embedded/index.ts';
import { KairosStore } from '../../src/databases/kairos/index.ts';
import { fakeEngine } from './fake-engine.ts';
import { ingestInto } from './kairos-ingest.ts';

export interface KairosServerOfTest {
  readonly app: FastifyInstance;
  readonly store: KairosStore;
  /** Listens on the first call. */
  listen(): Promise<string>;
  close(): Promise<void>;
}

export async function kairosServer(): Promise<KairosServerOfTest> {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-kairos-'));
  const rows = embeddedWideRows({ dataDirectory: directory });
  // As the engine has it: its clients are told when they ask for such a point, not when they send it.
  const store = new KairosStore({ rows, nonFinite: 'store' });
  const app = await createServer({
    ...(await fakeEngine()),
    kairos: store,
    ingest: ingestInto(store),
  });
  return {
    app,
    store,
    listen: () => app.listen({ host: '127.0.0.1', port: 0 }),
    async close() {
      await app.close();
      await store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
