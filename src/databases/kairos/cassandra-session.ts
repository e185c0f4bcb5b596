/**
 * One connection to Cassandra: connects, sends bounded in number, stamps writes in milliseconds, and turns whatever
 * the driver throws into one of the three families. It knows requests, not tables.
 */
import type cassandra from 'cassandra-driver';
import type { Rejection } from '../../delivery/index.ts';
import { messageOf } from '../../model/index.ts';
import type { Clock } from '../../runtime/index.ts';
import { consistencyCode, createClient } from './client.ts';
import type { CassandraConfig } from './config.ts';
import { cassandraError, isRefusal, isSyntaxError, statementError } from './errors.ts';
import { InFlight } from './in-flight.ts';
import { WriteStamps } from './write-stamps.ts';

export interface Statement {
  readonly query: string;
  readonly params: readonly unknown[];
}

/** One request: statements of one partition or of few, and which items of the call they carry. */
export interface Unit {
  readonly statements: readonly Statement[];
  readonly indexes: readonly number[];
  /** The first's partition key, when it is one blob; else the driver derives the owner itself. */
  readonly routingKey?: Buffer;
  /** All statements as one (packed-requests.ts), where that can be. */
  readonly packed?: Statement | undefined;
}

/** A request of one statement, for item `index` of a call. */
export const unit = (index: number, query: string, params: readonly unknown[]): Unit => ({
  statements: [{ query, params }],
  indexes: [index],
});

export class CassandraSession {
  readonly #config: CassandraConfig;
  readonly #clock: Clock;
  readonly #stamps: WriteStamps;
  readonly #inFlight: InFlight;
  readonly #writeConsistency: number;
  readonly #readConsistency: number;
  /** Not every server that speaks CQL does. */
  #preparesBatches = true;
  #client: cassandra.Client | undefined;
  #connecting: Promise<void> | undefined;

  constructor(config: CassandraConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    this.#stamps = new WriteStamps(clock);
    this.#inFlight = new InFlight(config.requestsInFlightMax ?? 64);
    this.#writeConsistency = consistencyCode(config.writeConsistency ?? 'quorum');
    this.#readConsistency = consistencyCode(config.readConsistency ?? 'one');
  }

  /** Safe to call again, also while connecting. */
  async connect(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#client !== undefined) return;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    await this.#connecting;
  }

  /** Then whoever is asked has every row. */
  get hasOneNode(): boolean {
    return this.#client?.hosts.length === 1;
  }

  async #connect(): Promise<void> {
    const client = createClient(this.#config, this.#clock, this.#config.keyspace);
    try {
      await client.connect();
      this.#client = client;
    } catch (error) {
      await client.shutdown().catch(() => {});
      throw cassandraError(error, `connecting to Cassandra at ${this.#config.hosts.join(', ')}`);
    }
  }

  async close(): Promise<void> {
    await this.#connecting?.catch(() => {});
    const client = this.#client;
    this.#client = undefined;
    await client?.shutdown();
  }

  /** At read consistency; a page is asked for when the one before was taken. */
  async *pages(
    query: string,
    params: readonly unknown[],
    fetchSize: number,
  ): AsyncGenerator<cassandra.types.Row[]> {
    let pageState: string | undefined;
    do {
      const page: cassandra.types.ResultSet = await this.read(query, params, {
        fetchSize,
        ...(pageState === undefined ? {} : { pageState }),
      });
      if (page.rows.length > 0) yield page.rows;
      pageState = page.pageState ?? undefined;
    } while (pageState !== undefined);
  }

  /** At read consistency unless `options` say otherwise. */
  async read(
    query: string,
    params: readonly unknown[],
    options: cassandra.QueryOptions = {},
  ): Promise<cassandra.types.ResultSet> {
    try {
      return await this.#inFlight.run(() =>
        this.#open().execute(query, [...params], {
          prepare: true,
          consistency: this.#readConsistency,
          ...options,
        }),
      );
    } catch (error) {
      throw statementError(error, 'reading from Cassandra');
    }
  }

  /** At write consistency, for whoever asks because it is about to write. */
  readForWrite(query: string, params: readonly unknown[]): Promise<cassandra.types.ResultSet> {
    return this.read(query, params, { consistency: this.#writeConsistency });
  }

  /** One statement, with a stamp of its own. */
  async write(query: string, params: readonly unknown[]): Promise<void> {
    try {
      await this.#inFlight.run(() => this.#send([{ query, params }], this.#stamps.nextMs()));
    } catch (error) {
      throw statementError(error, 'writing to Cassandra');
    }
  }

  /** One stamp for the whole call. What the server refuses for its values is narrowed down to single items. */
  async writeUnits(units: Iterable<Unit>, signal?: AbortSignal): Promise<readonly Rejection[]> {
    signal?.throwIfAborted();
    const stampMs = this.#stamps.nextMs();
    const rejections = new Map<number, string>();
    const send = async (unit: Unit): Promise<void> => {
      try {
        await this.#sendUnit(unit, stampMs);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        if (unit.statements.length === 1) {
          rejections.set(unit.indexes[0] as number, messageOf(error));
          return;
        }
        for (const half of halvesOf(unit)) await send(half);
      }
    };
    try {
      await this.#inFlight.forEach(units, send, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw cassandraError(error, 'writing to Cassandra');
    }
    return [...rejections].map(([index, message]) => ({ index, message }));
  }

  async #sendUnit(unit: Unit, stampMs: number): Promise<void> {
    const packed = this.#preparesBatches ? unit.packed : undefined;
    if (packed === undefined) {
      await this.#send(unit.statements, stampMs, unit.routingKey);
      return;
    }
    const { query, params } = packed;
    const options = this.#writeOptions(stampMs, unit.routingKey);
    try {
      await this.#open().execute(query, params as unknown[], options);
    } catch (error) {
      if (!isSyntaxError(error)) throw error;
      this.#preparesBatches = false;
      await this.#send(unit.statements, stampMs, unit.routingKey);
    }
  }

  async #send(
    statements: readonly Statement[],
    stampMs: number,
    routingKey?: Buffer,
  ): Promise<void> {
    const options = this.#writeOptions(stampMs, routingKey);
    const [only] = statements;
    if (statements.length === 1 && only !== undefined)
      await this.#open().execute(only.query, [...only.params], options);
    else await this.#sendBatch(statements, options);
  }

  async #sendBatch(
    statements: readonly Statement[],
    options: cassandra.QueryOptions,
  ): Promise<void> {
    await this.#open().batch(statements as { query: string; params: unknown[] }[], {
      ...options,
      logged: false,
    });
  }

  #writeOptions(timestamp: number, routingKey: Buffer | undefined): cassandra.QueryOptions {
    return {
      prepare: true,
      isIdempotent: true,
      timestamp,
      consistency: this.#writeConsistency,
      ...(routingKey === undefined ? {} : { routingKey }),
    };
  }

  #open(): cassandra.Client {
    if (this.#client === undefined) {
      throw cassandraError(new Error('not connected'), 'using Cassandra');
    }
    return this.#client;
  }
}

function halvesOf(unit: Unit): Unit[] {
  const middle = unit.statements.length >> 1;
  const part = (from: number, to?: number): Unit => ({
    ...(unit.routingKey === undefined ? {} : { routingKey: unit.routingKey }),
    statements: unit.statements.slice(from, to),
    indexes: unit.indexes.slice(from, to),
  });
  return [part(0, middle), part(middle)];
}
