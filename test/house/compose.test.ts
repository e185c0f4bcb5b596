/** The compose file and the image are documented, not run here; what can be told by reading is told here. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { settingsOf, settingsSchema } from '../../src/runtime/index.ts';
import { projectRoot } from './source.ts';

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
}

const read = (name: string) => readFileSync(join(projectRoot, name), 'utf8');
const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, null>>;
};
const services = Object.entries(compose.services);
const dockerfile = read('Dockerfile');

/** Of every setting; a secret is read from the file that `…_FILE` names, too. */
const known = new Set(
  settingsOf(settingsSchema).flatMap(({ environment, secret }) =>
    secret ? [environment, `${environment}_FILE`] : [environment],
  ),
);

it('sets only variables that the service reads', () => {
  const ours = services.filter(([, service]) => service.build !== undefined);
  expect(ours.map(([name]) => name).sort()).toEqual(['setup', 'tidemark']);
  for (const [, { environment }] of ours) {
    expect(Object.keys(environment).length).toBeGreaterThan(5);
    expect(Object.keys(environment).filter((name) => !known.has(name))).toEqual([]);
  }
  const inImage = [...dockerfile.matchAll(/\b((?:TIDEMARK|KAFKA|INFLUX|CASSANDRA)_\w+)/g)];
  expect(inImage.length).toBeGreaterThan(1);
  expect(inImage.filter(([, name]) => !known.has(name))).toEqual([]);
});

it('waits only for services that exist and tell their health, or that end', () => {
  for (const [name, service] of services) {
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      const target = compose.services[other];
      expect(target, `${name} waits for ${other}`).toBeDefined();
      if (condition === 'service_healthy') expect(target?.healthcheck, other).toBeDefined();
      else
        expect([condition, target?.command]).toEqual(['service_completed_successfully', ['setup']]);
    }
  }
});

it('addresses every server by the name of its service', () => {
  const { KAFKA_BROKERS, CASSANDRA_HOSTS, INFLUX_URL } = compose.services.tidemark!.environment;
  for (const address of [KAFKA_BROKERS, CASSANDRA_HOSTS, INFLUX_URL]) {
    const host = /^(?:http:\/\/)?(\w+):\d+$/.exec(address!)?.[1];
    expect(Object.keys(compose.services)).toContain(host);
  }
  expect(compose.services.kafka!.environment.KAFKA_ADVERTISED_LISTENERS).toBe(
    `PLAINTEXT://${KAFKA_BROKERS}`,
  );
});

it('opens ports to this machine only, holds no secret and pins every image', () => {
  for (const [name, { ports = [], environment, image, build }] of services) {
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    for (const [variable, value] of Object.entries(environment)) {
      if (/TOKEN|PASSWORD/.test(variable)) expect(value, variable).toMatch(/^\$\{\w+:\?/);
    }
    if (build === undefined) expect(image, name).toMatch(/:v?\d/);
  }
});

it('keeps data in volumes that it declares', () => {
  const all = services.flatMap(([, { volumes = [] }]) => volumes);
  const files = all.filter((each) => each.startsWith('./'));
  for (const each of files) expect(each, 'files of the checkout').toMatch(/:ro$/);
  const mounted = all.filter((each) => !files.includes(each)).map((each) => each.split(':')[0]);
  expect(mounted.sort()).toEqual(Object.keys(compose.volumes).sort());
  expect(compose.services.tidemark!.volumes).toEqual(['tidemark:/data']);
  expect(dockerfile).toMatch(/^VOLUME \/data$/m);
});

it('provisions Grafana with data sources whose addresses and token come from its environment', () => {
  const { environment, volumes = [] } = compose.services.grafana!;
  const mounted = new Map(
    volumes.map((each) => each.split(':').slice(0, 2).reverse() as [string, string]),
  );
  expect(mounted.get('/etc/grafana/provisioning')).toBe('./deploy/grafana/provisioning');
  const sources = read('deploy/grafana/provisioning/datasources/tidemark.yaml');
  const named = [...sources.matchAll(/\$(\w+)/g)].map(([, name]) => name as string);
  expect(named.length).toBeGreaterThan(4);
  expect(named.filter((name) => environment[name] === undefined)).toEqual([]);
  expect(environment.INFLUX_URL).toBe(compose.services.tidemark!.environment.INFLUX_URL);
  const { providers } = parse(read('deploy/grafana/provisioning/dashboards/tidemark.yaml'));
  expect(mounted.get(providers[0].options.path)).toBe('./deploy/grafana/dashboards');
});

it('builds an image that is not root, tells its health and starts the command line', () => {
  const stages = dockerfile.split(/^FROM /m).slice(1);
  const last = stages.at(-1)!;
  expect(stages.every((stage) => stage.startsWith('node:24-slim'))).toBe(true);
  expect(last).toMatch(/^USER node$/m);
  expect(last).toMatch(/^HEALTHCHECK [\s\S]*\/health/m);
  expect(last).toMatch(/^ENTRYPOINT \["bin\/tidemark"\]$/m);
  const copied = [...dockerfile.matchAll(/^COPY --from=build (.+) \S+$/gm)].flatMap(([, list]) =>
    list!.split(' ').map((path) => path.replace('/app/', '')),
  );
  expect(copied.sort()).toEqual([
    'LICENSE',
    'bin',
    'dashboard',
    'data',
    'dist',
    'node_modules',
    'package.json',
  ]);
});
