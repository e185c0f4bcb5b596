/** `/docs` for people, `/docs/json` (OpenAPI 3.1) for tools. */
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { type OpenApi, renderDocs } from './page.ts';

/** Must be called before the routes it is to describe are registered. */
export async function describeRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
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
}

export async function docs(app: FastifyInstance): Promise<void> {
  const hidden = { schema: { hide: true } };
  // The document never changes once the service is up.
  let document: OpenApi | undefined;
  const openApi = (): OpenApi => {
    document ??= app.swagger() as unknown as OpenApi;
    return document;
  };
  let html: string | undefined;

  app.get('/docs/json', hidden, async () => openApi());
  app.get('/docs', hidden, async (_request, reply) => {
    html ??= renderDocs(openApi());
    return reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
      .serializer(String)
      .send(html);
  });
}
