/** Makes KairosDB's keyspace, tables and spec rows where they are missing; may be run again at any time. */
import { messageOf } from '../../model/index.ts';
import { type Clock, systemClock } from '../../runtime/index.ts';
import { cassandraWideRows } from './cassandra-wide-rows.ts';
import { createClient } from './client.ts';
import { type CassandraConfig, checkCassandraConfig } from './config.ts';
import { cassandraError, isUnsupported } from './errors.ts';
import { type TableDefinition, tableDefinitions } from './schema.ts';
import { ensureSpec, ROW_TIME_UNIT, ROW_WIDTH } from './spec-rows.ts';

export interface SetupStep {
  /** `keyspace kairosdb`, `table kairosdb.data_points`, `spec row_time_unit = MILLISECONDS`. */
  readonly name: string;
  readonly state: 'made' | 'there already';
  /** What the operator may want to know. */
  readonly note?: string;
}

/**
 * Needs the right to create only for what is missing. Rejects with RetriableError (not reachable) or FatalError
 * (not let in, wrong data centre, or a stored spec that makes no sense).
 */
export async function setupKairos(
  config: CassandraConfig,
  clock: Clock = systemClock,
): Promise<readonly SetupStep[]> {
  checkCassandraConfig(config);
  const steps = await makeTables(config, clock);
  const rows = cassandraWideRows({ config, clock });
  try {
    await rows.connect();
    const before = await rows.readSpec();
    await ensureSpec(rows, config.rowTimeUnit);
    const after = await rows.readSpec();
    for (const name of [ROW_TIME_UNIT, ROW_WIDTH]) {
      const state = before.has(name) ? 'there already' : 'made';
      steps.push({ name: `spec ${name} = ${after.get(name)}`, state });
    }
  } finally {
    await rows.close();
  }
  return steps;
}

async function makeTables(config: CassandraConfig, clock: Clock): Promise<SetupStep[]> {
  const { keyspace, replicationFactor = 1 } = config;
  const client = createClient(config, clock);
  const steps: SetupStep[] = [];
  const names = async (query: string, params: string[]) =>
    (await client.execute(query, params)).rows.map((row) => row.name as string);
  const run = (cql: string) => client.execute(cql, [], { prepare: false });
  try {
    await client.connect();
    const keyspaces = await names(
      'SELECT keyspace_name AS name FROM system_schema.keyspaces WHERE keyspace_name = ?',
      [keyspace],
    );
    if (keyspaces.length === 0) {
      await run(
        `CREATE KEYSPACE IF NOT EXISTS "${keyspace}" WITH REPLICATION = {'class': 'SimpleStrategy', 'replication_factor': ${replicationFactor}}`,
      );
    }
    steps.push({
      name: `keyspace ${keyspace}`,
      state: keyspaces.length === 0 ? 'made' : 'there already',
    });
    const present = await names(
      'SELECT table_name AS name FROM system_schema.tables WHERE keyspace_name = ?',
      [keyspace],
    );
    for (const table of tableDefinitions) {
      const name = `table ${keyspace}.${table.name}`;
      if (present.includes(table.name)) steps.push({ name, state: 'there already' });
      else steps.push({ name, state: 'made', ...(await makeTable(run, keyspace, table)) });
    }
    return steps;
  } catch (error) {
    throw cassandraError(error, `setting up keyspace ${keyspace}`);
  } finally {
    await client.shutdown();
  }
}

async function makeTable(
  run: (cql: string) => Promise<unknown>,
  keyspace: string,
  { name, columns, options }: TableDefinition,
): Promise<{ note?: string }> {
  const cql = `CREATE TABLE IF NOT EXISTS "${keyspace}".${name} (${columns})`;
  try {
    await run(options === undefined ? cql : `${cql} ${options}`);
    return {};
  } catch (error) {
    if (options === undefined || !isUnsupported(error)) throw error;
    await run(cql);
    return { note: `without ${options}, which this server refuses: ${messageOf(error)}` };
  }
}
