/** The table of routes, so that an unknown path gets the nearest route and a wrong method gets 405. */
import type { FastifyInstance } from 'fastify';
import { nearest } from '../runtime/index.ts';
import { Refusal } from './errors.ts';

export interface Route {
  readonly pattern: string;
  readonly methods: readonly string[];
}

/** Collects every route registered after this call. */
export function collectRoutes(app: FastifyInstance): readonly Route[] {
  const routes = new Map<string, { pattern: string; methods: string[] }>();
  const list: Route[] = [];
  app.addHook('onRoute', ({ url, method }) => {
    let route = routes.get(url);
    if (route === undefined) {
      route = { pattern: url, methods: [] };
      routes.set(url, route);
      list.push(route);
    }
    route.methods.push(...[method].flat());
  });
  return list;
}

/** What an unrouted request is told: METHOD_NOT_ALLOWED where the path exists, else NOT_FOUND with a hint. */
export function unrouted(routes: readonly Route[], method: string, url: string): Refusal {
  const path = url.split('?', 1)[0]!;
  const methods = routes.filter(({ pattern }) => fits(pattern, path)).flatMap((r) => r.methods);
  if (methods.length > 0) {
    const allow = [...new Set(methods)].join(', ');
    return new Refusal('METHOD_NOT_ALLOWED', `${method} is not offered at ${path}; ${allow} is`, {
      headers: { allow },
    });
  }
  const near = nearest(
    path,
    routes.map(({ pattern }) => fill(pattern, path)),
  );
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  return new Refusal('NOT_FOUND', `there is no ${shown}; did you mean ${near}?`);
}

/** `/v1/topics/:topic/records` fits `/v1/topics/votes/records`. */
function fits(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  return (
    wanted.length === given.length &&
    wanted.every((part, i) => (part.startsWith(':') ? given[i] !== '' : part === given[i]))
  );
}

/** The pattern with the path's own words for its parameters, so that they cost no edits. */
function fill(pattern: string, path: string): string {
  const given = path.split('/');
  return pattern
    .split('/')
    .map((part, i) => (part.startsWith(':') && given[i] ? given[i] : part))
    .join('/');
}
