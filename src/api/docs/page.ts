/** The manual of the HTTP service as one page without scripts, made from the OpenAPI document and the catalogue. */
import { catalogue } from '../errors.ts';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content?: Readonly<Record<string, unknown>> };
  readonly responses?: Readonly<Record<string, unknown>>;
}

export interface OpenApi {
  readonly info: {
    readonly title: string;
    readonly version: string;
    readonly description?: string;
  };
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const STYLE = `
  :root { color-scheme: light dark; }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  code, .method { font-family: ui-monospace, monospace; }
  h3 { margin-bottom: .2rem; }
  .method { display: inline-block; min-width: 4.5rem; color: #0a7d62; }
  table { border-collapse: collapse; margin: .4rem 0 1rem; }
  td, th { text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0; }
  p { margin: .3rem 0; }`;

export function renderDocs(document: OpenApi): string {
  const routes = Object.entries(document.paths ?? {}).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({ path, method, operation })),
  );
  const tags = [...new Set(routes.map(({ operation }) => operation.tags?.[0] ?? 'other'))];
  const sections = tags.map((tag) => {
    const mine = routes.filter(({ operation }) => (operation.tags?.[0] ?? 'other') === tag);
    return `<h2 id="${escapeHtml(tag)}">${escapeHtml(tag)}</h2>${mine.map(renderRoute).join('')}`;
  });
  const rows = Object.entries(catalogue).map(
    ([code, { status, title, cure }]) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${escapeHtml(title)}</td><td>${escapeHtml(cure)}</td></tr>`,
  );
  return page(
    `${document.info.title} HTTP`,
    `<p>${escapeHtml(document.info.description ?? '')} Version ${escapeHtml(document.info.version)}. For tools: <a href="/docs/json">OpenAPI</a>.</p>
${sections.join('\n')}
<h2 id="problems">problems</h2>
<p>Whatever is refused is answered as <code>application/problem+json</code> (RFC 9457) with one of these codes.</p>
<table><tr><th>code</th><th>status</th><th>means</th><th>what to do</th></tr>${rows.join('')}</table>`,
  );
}

function renderRoute(route: { path: string; method: string; operation: Operation }): string {
  const { path, method, operation } = route;
  const parameters = operation.parameters ?? [];
  const rows = parameters.map(
    ({ name, in: place, required, description, schema }) =>
      `<tr><td><code>${escapeHtml(name)}</code></td><td>${escapeHtml(place)}${required ? ', required' : ''}</td><td>${escapeHtml(kind(schema))}</td><td>${escapeHtml(description ?? '')}</td></tr>`,
  );
  const bodies = Object.keys(operation.requestBody?.content ?? {});
  const statuses = Object.keys(operation.responses ?? {});
  return `<h3><span class="method">${method.toUpperCase()}</span> <code>${escapeHtml(path)}</code></h3>
<p>${escapeHtml(operation.summary ?? '')}</p>
${operation.description === undefined ? '' : `<p>${escapeHtml(operation.description)}</p>`}
${bodies.length === 0 ? '' : `<p>Body: ${bodies.map((type) => `<code>${escapeHtml(type)}</code>`).join(', ')}</p>`}
<p>Answers: ${escapeHtml(statuses.join(', '))}</p>
${rows.length === 0 ? '' : `<table>${rows.join('')}</table>`}`;
}

/** `integer 1 to 10000, default 100`. */
function kind(schema: Readonly<Record<string, unknown>>): string {
  const { type, enum: words, minimum, maximum, default: usual } = schema;
  const range =
    minimum === undefined && maximum === undefined ? '' : ` ${minimum ?? ''} to ${maximum ?? ''}`;
  const what = Array.isArray(words) ? words.join(' | ') : `${String(type)}${range}`;
  return usual === undefined ? what : `${what}, default ${String(usual)}`;
}

const page = (title: string, body: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title><style>${STYLE}</style></head>
<body><h1>${escapeHtml(title)}</h1>
${body}
</body></html>
`;

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
