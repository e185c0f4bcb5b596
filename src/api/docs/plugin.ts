/**
 * `/docs` for people, `/docs/json` (OpenAPI 3.1) for tools. The document is made when somebody first asks, and what
 * makes it is loaded then: most services are never asked (0056).
 */
import Fastify, { type FastifyInstance, type RouteOptions } from 'fastify';
import { compileWhenUsed } from '../validators.ts';
import { type OpenApi, renderDocs } from './page.ts';

/** Of every route that is registered after this call. */
export function describeRoutes(app: FastifyInstance, version: string): () => Promise<OpenApi> {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    if (route.method !== 'HEAD') routes.push(route);
  });
  // The document never changes once the service is up.
  let document: Promise<OpenApi> | undefined;
  return () => {
    document ??= documentOf(routes, version);
    return document;
  };
}

/** The library describes the routes of a service of its own, which has no others and never listens. */
async function documentOf(routes: readonly RouteOptions[], version: string): Promise<OpenApi> {
  const { default: swagger } = await import('@fastify/swagger');
  const described = Fastify({
    exposeHeadRoutes: false,
    schemaController: {
      compilersFactory: {
        buildValidator: compileWhenUsed().buildValidator,
        buildSerializer: () => () => JSON.stringify,
      },
    },
  });
  await described.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tidemark',
        version,
        description: 'Publish records, follow topics, ask for live and stored statistics, replay.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
    },
  });
  const handler = async () => undefined;
  for (const { method, url, schema = {} } of routes)
    described.route({ method, url, schema, handler });
  await described.ready();
  return described.swagger() as unknown as OpenApi;
}

export async function docs(app: FastifyInstance, openApi: () => Promise<OpenApi>): Promise<void> {
  const hidden = { schema: { hide: true } };
  let html: string | undefined;

  app.get('/docs/json', hidden, async () => openApi());
  app.get('/docs', hidden, async (_request, reply) => {
    html ??= renderDocs(await openApi());
    return reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
      .serializer(String)
      .send(html);
  });
}
