/** The whole engine, from a log to derived topics, held to an independent computation: on both logs, however cut. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Broker, ProducerRecord } from '../../src/broker/index.ts';
import { recordedVotes, simulateVotes } from '../../src/collect/index.ts';
import { type Engine, startEngine } from '../../src/main.ts';
import { loadSettings, silentLogger, systemClock } from '../../src/runtime/index.ts';
import { voteLatency } from '../../topologies/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { derivedTopics, recordsOf } from '../support/engine-contents.ts';
import { expectedRollups, type RollupLike, rollupFailures } from '../support/expected-rollups.ts';
import { needs } from '../support/require.ts';
import { newRun, runNames } from '../support/run-names.ts';

const loads: Readonly<Record<string, readonly ProducerRecord[]>> = {
  'the recorded votes': [...recordedVotes()],
  'simulated votes with duplicates, disorder and late ones': [
    ...simulateVotes({
      seed: 21,
      startMs: 1_757_500_000_000,
      validators: 50,
      ratePerSecond: 10,
      count: 50_000,
      duplicateShare: 0.02,
      lateShare: 0.002,
    }),
  ],
};

async function tasksAre(engine: Engine, topology: string, wanted: number): Promise<void> {
  for (let tries = 0; tries < 1_800; tries++) {
    const tasks = engine.view.topologies().find(({ name }) => name === topology)?.tasks ?? [];
    if (tasks.filter(({ state }) => state === 'running').length === wanted) return;
    await systemClock.sleep(50);
  }
  throw new Error(`${topology} did not get its ${wanted} tasks within 90 s`);
}

/** Votes in, in appends of so many; the end of input; rollups and late votes out. */
async function failuresOf(
  engine: Engine,
  votes: readonly ProducerRecord[],
  how: {
    readonly topology: string;
    readonly topic: string;
    readonly rollups: readonly string[];
    readonly late: string;
    readonly partitions: number;
    readonly appendRecords: number;
  },
): Promise<readonly string[]> {
  // One task for each partition of votes, and one where they come together.
  await tasksAre(engine, how.topology, how.partitions + 1);
  for (let at = 0; at < votes.length; at += how.appendRecords)
    await engine.broker.append(how.topic, votes.slice(at, at + how.appendRecords));
  await engine.finish(how.topology);
  const read = async (broker: Broker, topics: readonly string[]) =>
    (await recordsOf(broker, topics)).map(({ value }) => value);
  const rollups = await read(engine.broker, how.rollups);
  const expected = expectedRollups(
    votes.map(({ key, value }) => ({ key: String(key), vote: JSON.parse(String(value)) })),
    how.partitions,
  );
  const late = (await read(engine.broker, [how.late])).length;
  return [
    ...rollupFailures(
      rollups.map((rollup) => JSON.parse(rollup) as RollupLike),
      expected,
    ),
    ...(late === expected.late ? [] : [`${late} late votes instead of ${expected.late}`]),
  ];
}

describe.each(Object.entries(loads))(
  'rollups of %s equal an independent computation',
  (_, votes) => {
    test.each([
      [1, 20_000],
      [3, 1_000],
      [8, 333],
    ])(
      'on the embedded log with %i partitions, appended %i at a time',
      async (partitions, appendRecords) => {
        const { settings } = loadSettings({
          environment: {
            TIDEMARK_PARTITIONS: String(partitions),
            TIDEMARK_EPOCH_INTERVAL_MS: '50',
          },
          flags: { data: await temporaryDirectory() },
        });
        const engine = await startEngine(settings, { roles: ['engine'], logger: silentLogger });
        onTestFinished(() => engine.stop());
        const failures = await failuresOf(engine, votes, {
          topology: voteLatency.name,
          topic: 'votes',
          rollups: [derivedTopics['5m'], derivedTopics['1h'], derivedTopics['1d']],
          late: derivedTopics.late,
          partitions,
          appendRecords,
        });
        expect(failures).toEqual([]);
      },
    );

    describe.skipIf(!needs(['KAFKA_BROKERS']))('on Kafka', () => {
      test.each([
        [1, 20_000],
        [3, 1_000],
        [8, 500],
      ])('with %i partitions, appended %i at a time', async (partitions, appendRecords) => {
        const { topology, topics, namespace } = runNames(newRun());
        const { settings } = loadSettings({
          environment: {
            KAFKA_BROKERS: process.env.KAFKA_BROKERS,
            TIDEMARK_EPOCH_INTERVAL_MS: '200',
          },
          flags: { data: await temporaryDirectory() },
        });
        // Topics that exist keep their partitions.
        const setup = await startEngine(settings, { roles: [], logger: silentLogger });
        await setup.broker.createTopics([{ name: topics.votes, partitions }]);
        onTestFinished(async () => {
          await setup.broker.deleteNamespace(namespace);
          await setup.stop();
        });
        const engine = await startEngine(settings, {
          roles: ['engine'],
          topologies: [topology],
          logger: silentLogger,
        });
        onTestFinished(() => engine.stop());
        const failures = await failuresOf(engine, votes, {
          topology: topology.name,
          topic: topics.votes,
          rollups: (['5m', '1h', '1d'] as const).map((step) => topics.rollups(step, 'validator')),
          late: topics.late,
          partitions,
          appendRecords,
        });
        expect(failures).toEqual([]);
      });
    });
  },
);
