/**
 * InfluxDB as a sink: one bucket, points as line protocol over POST /api/v2/write. Every status is judged by
 * the table in spec/influxdb.md §2; the official client's WriteApi is not used, for it loses points (§3).
 */
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import type { Rejection, Sink } from '../../delivery/index.ts';
import { type Point, PoisonError, RetriableError } from '../../model/index.ts';
import { type Clock, systemClock } from '../../runtime/index.ts';
import { encodeLine } from './codec.ts';
import type { InfluxConfig } from './config.ts';
import { request } from './http.ts';
import { isolate, type Known } from './isolate.ts';
import type { Line } from './suspects.ts';
import { type Verdict, verdictOf } from './verdict.ts';

const compress = promisify(gzip);

/** A body below this gains nothing from compression. */
const GZIP_LENGTH_MIN = 1_000;
/** The server answers a broken gzip body with the same 500 for ever; so does a batch too large for its 10 s. */
const SAME_FAILURES_MAX = 3;
const GENTLE_LINES_MAX = 500;

/** What is remembered of a batch that was not stored at the first attempt. */
interface Unfinished {
  readonly known: Known;
  failure: string;
  failures: number;
}

export interface InfluxSinkOptions {
  readonly config: InfluxConfig;
  readonly bucket: string;
  /** For Retry-After dates. */
  readonly clock?: Clock;
}

export class InfluxSink implements Sink<Point> {
  readonly name: string;
  readonly #config: InfluxConfig;
  readonly #bucket: string;
  readonly #clock: Clock;
  /** By the very array given to `write`: the delivery gives the same one again. */
  readonly #unfinished = new WeakMap<readonly Point[], Unfinished>();

  constructor({ config, bucket, clock = systemClock }: InfluxSinkOptions) {
    this.name = `influx.${bucket}`;
    this.#config = config;
    this.#bucket = bucket;
    this.#clock = clock;
  }

  /** Rejects with FatalError INFLUX_UNAUTHORIZED, INFLUX_FORBIDDEN or INFLUX_NOT_FOUND, each with its cure. */
  async connect(signal?: AbortSignal): Promise<void> {
    await this.check(signal);
  }

  /** Writes nothing, with the same rights a write needs: /health passes when writes fail (§6). */
  async check(signal?: AbortSignal): Promise<void> {
    await this.#post('', { gzip: false, signal });
  }

  async write(points: readonly Point[], signal?: AbortSignal): Promise<readonly Rejection[]> {
    const { lines, rejections } = encode(points);
    const unfinished = this.#unfinished.get(points);
    const gentle = (unfinished?.failures ?? 0) >= SAME_FAILURES_MAX;
    const send = (group: readonly Line[]) =>
      this.#post(group.map(({ text }) => text).join('\n'), {
        gzip: this.#config.gzip && !gentle,
        signal,
      });
    const known: Known = unfinished?.known ?? new Map();
    try {
      if (lines.length > 0) {
        for (const part of gentle ? cut(lines, GENTLE_LINES_MAX) : [lines]) {
          await isolate(part, send, known);
        }
      }
    } catch (error) {
      this.#remember(points, known, error);
      throw error;
    }
    this.#unfinished.delete(points);
    for (const fate of known.values()) if (fate !== 'stored') rejections.push(fate);
    return rejections;
  }

  /** Lines that somebody encoded as `encodeLine` does; false when they were refused, whole or in part: see `write`. */
  async writeLines(lines: Uint8Array<ArrayBuffer>, signal?: AbortSignal): Promise<boolean> {
    const verdict = await this.#post(lines, { gzip: this.#config.gzip, signal });
    return verdict.kind === 'stored';
  }

  /** Connections are shared by the process and end by themselves when idle. */
  async close(): Promise<void> {}

  #remember(points: readonly Point[], known: Known, error: unknown): void {
    const entry = this.#unfinished.get(points) ?? { known, failure: '', failures: 0 };
    if (error instanceof RetriableError && error.code === 'SINK_FAILED') {
      entry.failures = error.message === entry.failure ? entry.failures + 1 : 1;
      entry.failure = error.message;
    }
    this.#unfinished.set(points, entry);
  }

  async #post(
    body: string | Uint8Array<ArrayBuffer>,
    options: { readonly gzip: boolean; readonly signal: AbortSignal | undefined },
  ): Promise<Verdict> {
    const zipped = options.gzip && body.length >= GZIP_LENGTH_MIN;
    const reply = await request(this.#config, {
      method: 'POST',
      path: '/api/v2/write',
      query: { org: this.#config.org, bucket: this.#bucket, precision: 'ns' },
      headers: {
        'content-type': 'text/plain; charset=utf-8',
        ...(zipped ? { 'content-encoding': 'gzip' } : {}),
      },
      body: zipped ? await compress(body, { level: constants.Z_BEST_SPEED }) : body,
      signal: options.signal,
    });
    const what = `write to bucket "${this.#bucket}"`;
    return verdictOf(this.#config, reply, { what, nowMs: this.#clock.now() });
  }
}

function encode(points: readonly Point[]): { lines: Line[]; rejections: Rejection[] } {
  const lines: Line[] = [];
  const rejections: Rejection[] = [];
  for (let index = 0; index < points.length; index++) {
    const point = points[index]!;
    try {
      lines.push({ index, text: encodeLine(point), point });
    } catch (error) {
      if (!(error instanceof PoisonError)) throw error;
      rejections.push({ index, code: error.code, message: error.message });
    }
  }
  return { lines, rejections };
}

function cut<T>(items: readonly T[], size: number): (readonly T[])[] {
  const parts: (readonly T[])[] = [];
  for (let at = 0; at < items.length; at += size) parts.push(items.slice(at, at + size));
  return parts;
}
