/** The tools that decide whether tests run and what counts as passed: if these lie, everything does. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { needs } from '../support/require.ts';
import { clusterIdOf } from '../support/servers/kafka.ts';
import { freePorts } from '../support/servers/ports.ts';
import { projectRoot } from './source.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-support-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('needs', () => {
  it('is true only when every variable is set to something', () => {
    expect(needs(['A', 'B'], { A: '1', B: '2' })).toBe(true);
    expect(needs(['A', 'B'], { A: '1' })).toBe(false);
    expect(needs(['A'], { A: '' })).toBe(false);
  });

  it('throws instead under REQUIRE_SERVERS=1, naming what is missing and the cure', () => {
    expect(() => needs(['A', 'B'], { REQUIRE_SERVERS: '1', A: '1' })).toThrow(
      /REQUIRE_SERVERS=1, but B not set: .*npm run servers up/,
    );
    expect(needs(['A'], { REQUIRE_SERVERS: '1', A: '1' })).toBe(true);
  });
});

describe('the servers command', () => {
  const servers = (...words: string[]) =>
    spawnSync(process.execPath, [join(projectRoot, 'test/support/servers.ts'), ...words], {
      encoding: 'utf8',
      env: { ...process.env, TIDEMARK_SERVERS_HOME: folder },
    });

  it('names a Kafka cluster by 16 bytes that no tool takes for a flag', () => {
    for (let byte = 0; byte <= 0xff; byte++) {
      const id = clusterIdOf(Buffer.alloc(16, byte));
      expect(id).toMatch(/^[A-Za-z0-9]/);
      expect(Buffer.from(id, 'base64url')).toHaveLength(16);
    }
  });

  it('says that nothing runs where nothing was started, and stops nothing', () => {
    expect(servers('status').stdout).toBe(
      'kafka: down\ncassandra: down\ninfluxdb: down\nkairosdb: down\n',
    );
    expect(servers('env').stdout).toBe('');
    expect(servers('down').status).toBe(0);
  });

  it('forgets a server that died, and one whose process number is now another’s', () => {
    const entry = { ports: { clients: 1 }, neighbours: {}, addresses: { A: 'b' }, ready: true };
    const state = {
      kafka: { ...entry, pid: 2 ** 22 + 1 },
      cassandra: { ...entry, pid: process.pid },
    };
    writeFileSync(join(folder, 'state.json'), JSON.stringify(state));
    expect(servers('status').stdout).toMatch(/^kafka: down\ncassandra: down\n/);
    expect(servers('down').status).toBe(0);
    expect(process.kill(process.pid, 0)).toBe(true);
  });

  it('refuses a name that it does not know', () => {
    const { status, stderr } = servers('up', 'redis');
    expect({ status, said: stderr.includes('unknown name redis') }).toEqual({
      status: 2,
      said: true,
    });
  });

  it('takes ports that nobody listens on, below those for outgoing connections', async () => {
    const ports = await freePorts(['a', 'b', 'c']);
    expect(new Set(Object.values(ports)).size).toBe(3);
    for (const port of Object.values(ports)) {
      expect(port).toBeLessThan(32_768);
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.on('error', reject);
        server.listen(port, '127.0.0.1', resolve);
      });
      server.close();
    }
  });
});

describe('the closing line', () => {
  const total = (reports: Record<string, object>, ...failedStages: string[]) => {
    for (const [name, testResults] of Object.entries(reports)) {
      writeFileSync(join(folder, `${name}.json`), JSON.stringify({ testResults }));
    }
    const script = join(projectRoot, '.ci/total.mjs');
    const { status, stdout } = spawnSync(process.execPath, [script, folder, ...failedStages], {
      encoding: 'utf8',
      cwd: folder,
    });
    return { status, last: stdout.trim().split('\n').at(-1) };
  };
  const file = (outcomes: Record<string, string>, extra: object = {}) => ({
    name: join(folder, 'a.test.ts'),
    status: 'passed',
    assertionResults: Object.entries(outcomes).map(([fullName, status]) => ({ fullName, status })),
    ...extra,
  });

  it('counts a test once, however often it ran, and by its worst', () => {
    expect(
      total({
        test: [file({ one: 'passed', two: 'skipped', three: 'passed' })],
        integration: [file({ one: 'passed', two: 'passed', three: 'failed' })],
      }),
    ).toEqual({ status: 1, last: '2 passed, 1 failed' });
    expect(total({ integration: [file({ three: 'passed' })] })).toEqual({
      status: 0,
      last: '2 passed, 0 failed',
    });
  });

  it('counts a file that does not load, and a stage that failed by itself', () => {
    const unloadable = file({}, { status: 'failed', message: 'SyntaxError' });
    expect(total({ test: [file({ one: 'passed' }), unloadable] }, 'test', 'check')).toEqual({
      status: 1,
      last: '1 passed, 2 failed',
    });
  });

  it('does not pass when nothing ran', () => {
    expect(total({})).toEqual({ status: 1, last: '0 passed, 1 failed' });
  });
});
