/**
 * A topic as server-sent events: every partition is read by its own loop, all write to one socket, and each
 * event's id holds the positions of all of them, so that Last-Event-ID resumes without loss or repeat.
 */
import type { ServerResponse } from 'node:http';
import type { Broker, RecordBatch } from '../../broker/index.ts';
import { messageOf, RetriableError } from '../../model/index.ts';
import type { Clock } from '../../runtime/index.ts';
import { problemOf, Refusal, refusalOf } from '../errors.ts';
import { recordJson } from '../record-json.ts';
import { requirePartition, requireTopic, startOffset } from './position.ts';

/** Proxies close connections that are silent for longer, commonly after 30 s. */
const HEARTBEAT_INTERVAL_MS = 15_000;
/** A read that found nothing is asked again after this; new records end it at once. */
const READ_WAIT_MS = 10_000;
/** What one partition's loop may hold. */
const READ_BYTES = 256 * 1_024;
/** Text handed to the socket at once. */
const CHUNK_CHARS = 64 * 1_024;
const RETRY_MS = 1_000;

export interface FeedRequest {
  readonly topic: string;
  /** Absent: all. */
  readonly partition: number | undefined;
  /** Absent: latest. Without meaning when `lastEventId` is given. */
  readonly from: string | undefined;
  readonly lastEventId: string | undefined;
}

/** Where each partition of the feed is read next. */
export interface FeedStart {
  readonly topic: string;
  readonly positions: Map<number, number>;
}

/** Resolves before anything is sent, so that what is wrong with the request is still refused with a status. */
export async function openFeed(broker: Broker, request: FeedRequest): Promise<FeedStart> {
  const topic = await requireTopic(broker, request.topic);
  const partitions =
    request.partition === undefined
      ? topic.partitions
      : [requirePartition(topic, request.partition)];
  const positions = new Map<number, number>();
  if (request.lastEventId !== undefined) {
    const resumed = parsePositions(request.lastEventId);
    const whole = [...resumed.keys()].every((partition, i) => partition === i);
    for (const { partition, nextOffset } of partitions) {
      // A partition that an id of the whole topic does not know was added since, so all of it is new.
      const added = request.partition === undefined && whole ? 0 : undefined;
      const offset = resumed.get(partition) ?? added;
      if (offset === undefined) {
        throw new Refusal(
          'CURSOR_INVALID',
          `Last-Event-ID is of a feed that did not hold partition ${partition}: resume with the same partition parameter`,
        );
      }
      if (offset > nextOffset) {
        throw new Refusal(
          'CURSOR_INVALID',
          `Last-Event-ID is ahead of partition ${partition}, which ends at ${nextOffset}: is it of another topic?`,
        );
      }
      positions.set(partition, offset);
    }
    return { topic: topic.name, positions };
  }
  const from = request.from ?? 'latest';
  for (const partition of partitions) {
    positions.set(partition.partition, await startOffset(broker, topic.name, partition, from));
  }
  return { topic: topic.name, positions };
}

/**
 * Writes until the signal aborts (client gone, server stopping), then ends the response. Memory is bounded: a
 * socket that does not drain stops the reading.
 */
export async function runFeed(options: {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly start: FeedStart;
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { broker, clock, start, response } = options;
  const positions = new Map(start.positions);
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const outlet = new Outlet(response, signal);

  // The first id has no data: it dispatches nothing, yet a client cut off before any record resumes from it.
  outlet.write(`: ${start.topic}\nretry: ${RETRY_MS}\nid: ${formatPositions(positions)}\n\n`);
  const stopHeartbeat = clock.every(HEARTBEAT_INTERVAL_MS, () => outlet.beat());

  const follow = async (partition: number): Promise<void> => {
    while (!signal.aborted) {
      const from = positions.get(partition)!;
      const batch = await readPatiently(partition, from);
      if (batch !== null) await send(batch);
    }
  };
  const readPatiently = async (partition: number, from: number): Promise<RecordBatch | null> => {
    try {
      return await broker.read({
        topic: start.topic,
        partition,
        from,
        maxBytes: READ_BYTES,
        maxWaitMs: READ_WAIT_MS,
        signal,
      });
    } catch (error) {
      if (signal.aborted) return null;
      if (!(error instanceof RetriableError)) throw error;
      await clock.sleep(RETRY_MS, signal).catch(() => {});
      return null;
    }
  };
  const send = async (batch: RecordBatch): Promise<void> => {
    let i = 0;
    while (i < batch.count) {
      await outlet.ready();
      if (signal.aborted) return;
      let chunk = '';
      for (; i < batch.count && chunk.length < CHUNK_CHARS; i++) {
        positions.set(batch.partition, batch.offsets[i]! + 1);
        chunk += `id: ${formatPositions(positions)}\ndata: ${recordJson(batch, i)}\n\n`;
      }
      outlet.write(chunk);
    }
    positions.set(batch.partition, batch.nextOffset);
  };

  try {
    await Promise.all([...positions.keys()].map(follow));
  } catch (error) {
    const problem = problemOf(refusalOf(error), `/v1/topics/${start.topic}/records`);
    outlet.write(`event: error\ndata: ${JSON.stringify(problem)}\n\n`);
    if (!(error instanceof Refusal)) throw new Error(messageOf(error), { cause: error });
  } finally {
    ended.abort();
    stopHeartbeat();
    response.end();
  }
}

/** One socket that many loops write to, none faster than it drains. */
class Outlet {
  readonly #response: ServerResponse;
  readonly #signal: AbortSignal;
  #full = false;
  #wroteSinceBeat = false;

  constructor(response: ServerResponse, signal: AbortSignal) {
    this.#response = response;
    this.#signal = signal;
  }

  write(text: string): void {
    if (this.#response.writableEnded || this.#response.destroyed) return;
    this.#wroteSinceBeat = true;
    if (!this.#response.write(text)) this.#full = true;
  }

  /** A comment, when the feed was silent since the last one. */
  beat(): void {
    if (!this.#wroteSinceBeat && !this.#full) this.write(': heartbeat\n\n');
    this.#wroteSinceBeat = false;
  }

  /** Resolves when the socket takes more, or the feed ends. */
  async ready(): Promise<void> {
    while (this.#full && !this.#signal.aborted) await this.#drained();
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#response.off('drain', done);
        this.#response.off('close', done);
        this.#signal.removeEventListener('abort', done);
        this.#full = this.#response.writableNeedDrain;
        resolve();
      };
      this.#response.once('drain', done);
      this.#response.once('close', done);
      this.#signal.addEventListener('abort', done, { once: true });
    });
  }
}

/**
 * `0:42,1:7` in base 36 → `0.16-1.7`: the partitions in ascending order with the offset to read next. Opaque to
 * clients; no character needs escaping anywhere.
 */
export function formatPositions(positions: ReadonlyMap<number, number>): string {
  let text = '';
  for (const [partition, offset] of positions) {
    text += `${text === '' ? '' : '-'}${partition.toString(36)}.${offset.toString(36)}`;
  }
  return text;
}

/** The reverse of `formatPositions`; refuses anything else with CURSOR_INVALID. */
export function parsePositions(text: string): Map<number, number> {
  const positions = new Map<number, number>();
  for (const part of text.split('-')) {
    const match = /^([0-9a-z]{1,6})\.([0-9a-z]{1,11})$/.exec(part);
    const offset = Number.parseInt(match?.[2] ?? '', 36);
    if (match === null || !Number.isSafeInteger(offset)) {
      throw new Refusal('CURSOR_INVALID', 'Last-Event-ID was not given by this feed');
    }
    positions.set(Number.parseInt(match[1]!, 36), offset);
  }
  return positions;
}
