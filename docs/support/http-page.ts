/** Every route, from the OpenAPI document that the service itself serves at /docs/json. */
import { createServer, type EngineView } from '../../src/api/index.ts';
import { code, table } from './markdown.ts';

interface Shape {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
}
interface Parameter {
  readonly in: string;
  readonly name: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: Shape;
}
interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly responses?: Readonly<Record<string, unknown>>;
}

export async function httpPage(): Promise<string> {
  // Describing the routes asks nothing of the engine but its version.
  const app = await createServer({ version: '' } as EngineView);
  const answer = await app.inject('/docs/json');
  await app.close();
  const { paths } = answer.json<{ paths: Record<string, Record<string, Operation>> }>();
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const byTag = Map.groupBy(operations, ({ operation }) => operation.tags?.[0] ?? 'other');
  const sections = [...byTag].map(
    ([tag, routes]) => `## ${tag}\n\n${routes.map(routeText).join('\n')}`,
  );
  return `# HTTP

The running service says the same at \`/docs\`, and at \`/docs/json\` as OpenAPI 3.1 with the shapes of all bodies.
Refusals are problem JSON (RFC 9457) with a code from [the catalogue](errors.md). Times are milliseconds or ISO 8601,
ranges half-open. With \`TIDEMARK_TOKENS\` set, send \`Authorization: Bearer TOKEN\`; \`/health\` and \`/ready\` never ask.

${sections.join('\n')}`;
}

function routeText({
  path,
  method,
  operation,
}: {
  path: string;
  method: string;
  operation: Operation;
}): string {
  const { summary = '', description, parameters = [], responses = {} } = operation;
  const rows = parameters.map(({ in: place, name, required, description: what, schema = {} }) => [
    code(name),
    place,
    takes(schema),
    schema.default === undefined ? (required ? 'required' : '') : code(String(schema.default)),
    what ?? schema.description ?? '',
  ]);
  const statuses = Object.keys(responses).join(', ');
  return [
    `### ${method.toUpperCase()} ${path}`,
    `${summary}.${description === undefined ? '' : ` ${description}`}${statuses === '' ? '' : ` Answers ${statuses}.`}`,
    ...(rows.length === 0
      ? []
      : [table(['parameter', 'in', 'takes', 'default', 'what it is'], rows)]),
  ]
    .join('\n\n')
    .concat('\n');
}

function takes({ type, enum: words, minimum, maximum }: Shape): string {
  if (words !== undefined) return words.map((word) => code(String(word))).join(', ');
  const name = [type ?? 'text'].flat().join(' or ');
  if (minimum === undefined && maximum === undefined) return name;
  if (maximum === undefined) return `${name} from ${minimum}`;
  return `${name}, ${minimum ?? ''} to ${maximum}`;
}
