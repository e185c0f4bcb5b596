/** The Helm chart is rendered, not installed, here: what it would start is held against the service as it is. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadSettings, settingsOf, settingsSchema } from '../../src/runtime/index.ts';
import { renderChart } from '../support/helm.ts';
import { projectRoot } from './source.ts';

const folder = join(projectRoot, 'deploy/helm/tidemark');
const onKafka = {
  kafka: { brokers: 'kafka:9092' },
  cassandra: { hosts: 'cassandra:9042' },
  influx: { url: 'http://influxdb:8086', org: 'tidemark' },
  secret: { name: 'keys', settings: ['TIDEMARK_TOKENS', 'INFLUX_TOKEN', 'CASSANDRA_PASSWORD'] },
  telnet: { enabled: true, port: 4243 },
  ingress: { enabled: true, host: 'tidemark.example' },
  serviceMonitor: { enabled: true, token: { name: 'keys', key: 'scrape' } },
};

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}
interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly resources: { readonly requests: object; readonly limits: object };
  readonly securityContext: object;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
interface PodSpec {
  readonly containers: readonly [Container];
  readonly volumes: readonly { readonly name: string; readonly secret?: object }[];
  readonly securityContext: object;
  readonly enableServiceLinks: boolean;
}
interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  // biome-ignore lint/suspicious/noExplicitAny: each kind has a form of its own.
  readonly spec: any;
}

const render = (values: object) => renderChart(folder, { ...values }) as unknown as Rendered[];
const named = (objects: readonly Rendered[], kind: string, name: string) =>
  objects.find((each) => each.kind === kind && each.metadata.name === name) as Rendered;
const podsOf = (objects: readonly Rendered[]) =>
  objects
    .filter(({ kind }) => ['StatefulSet', 'Deployment', 'Job'].includes(kind))
    .map(({ kind, metadata, spec }) => {
      const pod = spec.template.spec as PodSpec;
      return { kind, name: metadata.name, spec, pod, container: pod.containers[0] };
    });
const environmentOf = ({ env }: Container) =>
  Object.fromEntries(env.map(({ name, value }) => [name, value]));
const kindsOf = (objects: readonly Rendered[]) =>
  objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort();

const whole = render({});
const parts = render(onKafka);
const everyPod = [...podsOf(whole), ...podsOf(parts)];

describe('what is made', () => {
  it('is one process on a volume as the chart comes', () => {
    expect(kindsOf(whole)).toEqual(['Service tidemark-single', 'StatefulSet tidemark-single']);
    const [single] = podsOf(whole);
    expect(single?.spec.replicas).toBe(1);
    expect(loadSettings({ environment: environmentOf(single!.container) }).settings).toMatchObject({
      roles: ['engine', 'sinks', 'ingest', 'query', 'api'],
      host: '0.0.0.0',
      port: 8080,
      telnet: { port: 0 },
    });
  });

  it('is parts by role on Kafka, of which those keep a name and a volume that keep a store', () => {
    expect(kindsOf(parts)).toEqual([
      'Deployment tidemark-ingest',
      'Deployment tidemark-query',
      'Ingress tidemark',
      'Job tidemark-setup',
      'Service tidemark-engine',
      'Service tidemark-ingest',
      'Service tidemark-query',
      'ServiceMonitor tidemark',
      'StatefulSet tidemark-engine',
    ]);
    for (const { kind, container, spec } of podsOf(parts)) {
      const { TIDEMARK_ROLES: roles = '' } = environmentOf(container);
      expect(kind === 'StatefulSet').toBe(roles.includes('sinks'));
      expect(spec.volumeClaimTemplates !== undefined).toBe(kind === 'StatefulSet');
    }
  });

  it('leaves parts out that are null, and optional objects unless they are asked for', () => {
    const few = { kafka: onKafka.kafka, groups: { ingest: null, query: null } };
    expect(kindsOf(render(few))).toEqual([
      'Job tidemark-setup',
      'Service tidemark-engine',
      'StatefulSet tidemark-engine',
    ]);
  });

  it('is refused where it could not run: no store in common, no HTTP, no name of the Secret', () => {
    const mute = { groups: { engine: { roles: ['engine', 'sinks'] } } };
    expect(() => render({ ...onKafka, ...mute })).toThrow(/groups\.engine has no HTTP/);
    expect(() => render({ kafka: onKafka.kafka })).toThrow(/groups\.ingest .* cassandra\.hosts/);
    expect(() => render({ secret: { settings: ['INFLUX_TOKEN'] } })).toThrow(/secret\.name/);
  });

  it('is of the version that this is', () => {
    const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
    for (const { container } of everyPod) expect(container.image).toBe(`tidemark:${version}`);
  });
});

describe('every pod', () => {
  it('is told only what the service reads, and secrets by their file', () => {
    const settings = settingsOf(settingsSchema);
    const known = new Set(settings.map(({ environment }) => environment));
    const secrets = settings.filter(({ secret }) => secret);
    const files = new Set(secrets.map(({ environment }) => `${environment}_FILE`));
    for (const { name, container } of everyPod) {
      const names = container.env.map((each) => each.name);
      expect(names.length, name).toBeGreaterThan(1);
      expect(names.filter((each) => !known.has(each) && !files.has(each))).toEqual([]);
      expect(new Set(names).size, `${name}: none twice`).toBe(names.length);
      expect(names.filter((each) => secrets.some((s) => s.environment === each))).toEqual([]);
    }
  });

  it('finds each secret at the path that its variable says', () => {
    for (const { pod, container } of podsOf(parts)) {
      const files = container.env.filter(({ name }) => name.endsWith('_FILE'));
      expect(files).toHaveLength(onKafka.secret.settings.length);
      const mount = container.volumeMounts.find(({ name }) => name === 'secrets');
      expect(pod.volumes.find(({ name }) => name === 'secrets')?.secret).toMatchObject({
        secretName: 'keys',
        items: files.map(({ name, value }) => {
          const key = name.replace(/_FILE$/, '');
          expect(value).toBe(`${mount?.mountPath}/${key}`);
          return { key, path: key };
        }),
      });
    }
  });

  it('takes nothing secret from the values, where there is room for names of Secrets only', () => {
    const leaves = (value: unknown, path: string): readonly (readonly [string, unknown])[] =>
      typeof value === 'object' && value !== null && Object.keys(value).length > 0
        ? Object.entries(value).flatMap(([key, each]) => leaves(each, `${path}.${key}`))
        : [[path, value]];
    const values = parse(readFileSync(join(folder, 'values.yaml'), 'utf8'));
    const secret = leaves(values, '').filter(([path]) => /password|token|secret/i.test(path));
    expect(secret).toEqual([
      ['.imagePullSecrets', []],
      ['.secret.name', ''],
      ['.secret.settings', []],
      ['.ingress.tlsSecret', ''],
      ['.serviceMonitor.token.name', ''],
      ['.serviceMonitor.token.key', ''],
    ]);
  });

  it('is not root, changes nothing of its image, and has a bound in memory', () => {
    for (const { pod, container } of everyPod) {
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, fsGroup: 1000 });
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(container.resources.limits).toHaveProperty('memory');
    }
  });

  it('gets no variables from Services: one called tidemark would set TIDEMARK_PORT', () => {
    for (const { pod } of everyPod) expect(pod.enableServiceLinks).toBe(false);
  });

  it('has every volume that it mounts', () => {
    for (const { name, pod, spec, container } of everyPod) {
      const claims = (spec.volumeClaimTemplates ?? []) as Rendered[];
      const volumes = [
        ...pod.volumes.map((each) => each.name),
        ...claims.map(({ metadata }) => metadata.name),
      ];
      const mounted = container.volumeMounts.map((each) => each.name);
      expect(mounted.sort(), name).toEqual(volumes.sort());
      expect(container.volumeMounts).toContainEqual({
        name: 'data',
        mountPath: environmentOf(container).TIDEMARK_DATA,
      });
    }
  });
});

describe('how it is reached', () => {
  const serving = everyPod.filter(({ kind }) => kind !== 'Job');

  it('is probed where the service listens', () => {
    expect(serving).toHaveLength(4);
    for (const { container } of serving) {
      const { startupProbe, livenessProbe, readinessProbe, ports } = container;
      expect([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet)).toEqual([
        { path: '/health', port: 'http' },
        { path: '/health', port: 'http' },
        { path: '/ready', port: 'http' },
      ]);
      const environment = environmentOf(container);
      expect(ports).toContainEqual({
        name: 'http',
        containerPort: Number(environment.TIDEMARK_PORT),
      });
      // A process without one of these has no HTTP, so nothing to probe.
      expect(environment.TIDEMARK_ROLES).toMatch(/api|ingest|query/);
      expect(container.args).toEqual(['up']);
    }
  });

  it('is on telnet where points are taken, when it is asked for', () => {
    for (const { name, container } of podsOf(parts).filter(({ kind }) => kind !== 'Job')) {
      const isIngest = name === 'tidemark-ingest';
      expect(environmentOf(container).TIDEMARK_TELNET_PORT).toBe(isIngest ? '4242' : '0');
      const service = named(parts, 'Service', name);
      expect(service.spec.ports.slice(1)).toEqual(
        isIngest ? [{ name: 'telnet', port: 4243, targetPort: 'telnet' }] : [],
      );
      expect(container.ports?.slice(1)).toEqual(
        isIngest ? [{ name: 'telnet', containerPort: 4242 }] : [],
      );
    }
  });

  it('is selected by its Service and its own controller, and by no other', () => {
    for (const objects of [whole, parts]) {
      const pods = objects.filter(({ spec }) => spec.template !== undefined);
      const fits = (selector: object) =>
        pods
          .filter(({ spec }) =>
            Object.entries(selector).every(
              ([key, value]) => spec.template.metadata.labels[key] === value,
            ),
          )
          .map(({ metadata }) => metadata.name);
      for (const { kind, metadata, spec } of objects) {
        if (kind === 'Service') expect(fits(spec.selector)).toEqual([metadata.name]);
        if (['StatefulSet', 'Deployment'].includes(kind)) {
          expect(fits(spec.selector.matchLabels)).toEqual([metadata.name]);
        }
      }
    }
  });

  it('has one address for all parts: writes here, questions there', () => {
    const { paths } = named(parts, 'Ingress', 'tidemark').spec.rules[0].http;
    const ways = paths.map((each: { path: string; backend: { service: { name: string } } }) => [
      each.path,
      each.backend.service.name,
    ]);
    expect(ways).toEqual([
      ['/api/v1/datapoints', 'tidemark-ingest'],
      ['/api/v1/datapoints/delete', 'tidemark-ingest'],
      ['/api/v1/metric', 'tidemark-ingest'],
      ['/api/v1', 'tidemark-query'],
      ['/', 'tidemark-engine'],
    ]);
    const [alone] = render({ ingress: onKafka.ingress }).filter(({ kind }) => kind === 'Ingress');
    expect(JSON.stringify(alone)).not.toMatch(/tidemark-(?!single)/);
  });

  it('is scraped with the token of the Secret', () => {
    const { spec } = named(parts, 'ServiceMonitor', 'tidemark');
    expect(spec.endpoints).toEqual([
      {
        port: 'http',
        path: '/metrics',
        interval: '15s',
        authorization: { credentials: { name: 'keys', key: 'scrape' } },
      },
    ]);
  });
});
