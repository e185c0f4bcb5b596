/** The first topology's guide once more, unchanged but for the names of its topics, on a real Kafka. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, describe, expect, it } from 'vitest';
import { follow, patternOf } from '../support/guide.ts';
import { installed, userEnvironment } from '../support/installed.ts';
import { needs } from '../support/require.ts';

describe.skipIf(!needs(['KAFKA_BROKERS']))('the first topology on Kafka', () => {
  const id = randomUUID().slice(0, 6);
  const brokers = process.env.KAFKA_BROKERS ?? '';
  const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING });
  let folder: string | undefined;

  afterAll(async () => {
    const admin = kafka.admin();
    await admin.connect();
    const topics = (await admin.listTopics()).filter((name) => name.includes(id));
    await admin.deleteTopics({ topics });
    await admin.disconnect();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  // Packing and installing alone may take a minute or two.
  it('gives what the guide says the embedded log gives', { timeout: 400_000 }, async () => {
    const installation = await installed();
    folder = await mkdtemp(join(tmpdir(), 'tidemark-guide-kafka-'));
    await symlink(join(installation.app, 'node_modules'), join(folder, 'node_modules'));
    const guide = await readFile(
      join(import.meta.dirname, '../../docs/guides/your-first-topology.md'),
      'utf8',
    );
    const own = guide.replaceAll(/\b(readings|temperature)(?=\b|_)/g, `$1${id}`);
    // The guide's order is that of one partition, coming in and going out.
    const admin = kafka.admin();
    await admin.connect();
    const topics = [`readings${id}`, `readings${id}.1m`];
    await admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: 1 })) });
    await admin.disconnect();
    let compared = 0;
    await follow(own, {
      folder,
      environment: { ...userEnvironment, KAFKA_BROKERS: brokers },
      see: ({ line, command, printed, expected }) => {
        if (expected === undefined) return;
        compared++;
        expect(printed, `line ${line}: ${command}`).toMatch(patternOf(expected));
      },
    });
    expect(compared).toBeGreaterThan(5);
  });
});
