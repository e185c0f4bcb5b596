/**
 * The dashboard at `/`: plain files of the package, served as they are. They hold no data, so they are open
 * even where tokens are asked for; what they show they ask of the API, with the token of whoever looks.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';

/** From the sources, and from the compiled files one folder further down. */
const folders = ['../../../dashboard/', '../../../../dashboard/'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

/** Of the chart library only what a browser loads. */
const chartFiles: readonly string[] = ['uPlot.esm.js', 'uPlot.min.css'];

/** Nothing from elsewhere, no inline script, no frame around it, no form that leaves. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export async function dashboard(app: FastifyInstance): Promise<void> {
  const root = folders.find((folder) => existsSync(join(folder, 'index.html')));
  if (root === undefined) throw new Error(`the package lacks its folder dashboard (${folders[0]})`);
  const require = createRequire(import.meta.url);
  const charts = dirname(require.resolve('uplot'));
  // Not loaded by a server that only answers KairosDB's clients.
  const { default: serveStatic } = await import('@fastify/static');
  // Asked again each time, answered 304: an upgrade shows at once, and nothing is sent twice.
  await app.register(serveStatic, {
    root,
    serve: false,
    cacheControl: false,
    setHeaders: (reply) => {
      reply.header('cache-control', 'no-cache');
      reply.header('content-security-policy', POLICY);
      reply.header('x-content-type-options', 'nosniff');
      reply.header('referrer-policy', 'no-referrer');
    },
  });
  const open = { config: { open: true }, schema: { hide: true } };

  app.get('/', open, (_request, reply) => reply.sendFile('index.html'));
  app.get<{ Params: { '*': string } }>('/dashboard/*', open, (request, reply) => {
    const path = request.params['*'];
    // The server's own files have no odd names; whatever else is asked for is not there.
    if (!/^[\w-]+(?:\/[\w-]+)*(?:\.[a-zA-Z]+)+$/.test(path)) return reply.callNotFound();
    const chart = /^uplot\/(.+)$/.exec(path)?.[1];
    if (chart === undefined) return reply.sendFile(path);
    return chartFiles.includes(chart) ? reply.sendFile(chart, charts) : reply.callNotFound();
  });
}
