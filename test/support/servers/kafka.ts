/** Kafka 4.1: one node that is broker and controller (KRaft). */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { jars, java17, temporaryFolder } from './java.ts';
import type { Server } from './server.ts';

export const kafka: Server = {
  name: 'kafka',
  after: [],
  ports: ['clients', 'controller'],
  readyWithinMs: 120_000,

  async prepare({ directory, cache, ports }) {
    const [java, libraries] = await Promise.all([java17(), jars('kafka', cache)]);
    const configuration = join(directory, 'server.properties');
    await writeFile(
      configuration,
      `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${ports.controller}
listeners=PLAINTEXT://127.0.0.1:${ports.clients},CONTROLLER://127.0.0.1:${ports.controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${ports.clients}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=${join(directory, 'data')}
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
`,
    );
    const flags = ['-Xmx1g', await temporaryFolder(directory), '-cp', `${libraries}/*`];
    const format = ['kafka.tools.StorageTool', 'format', '-t', clusterIdOf(randomBytes(16))];
    format.push('-c', configuration);
    await promisify(execFile)(java, [...flags, ...format]);
    return [java, ...flags, 'kafka.Kafka', configuration];
  },

  ready: async (_site, log) => log.includes('Kafka Server started'),

  addresses: ({ ports }) => ({ KAFKA_BROKERS: `127.0.0.1:${ports.clients}` }),
};

/** One in 64 would begin with a dash, and then the tool takes it for a flag. */
export const clusterIdOf = (random: Buffer): string => `k${random.toString('base64url').slice(1)}`;
