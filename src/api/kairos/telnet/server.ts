/**
 * KairosDB's telnet interface: lines over TCP into the same log as the points of HTTP. It answers nothing, so it must
 * lose nothing: of each connection one piece is read, and the next only when the log has it; while the log takes
 * none, sockets are not read, and senders feel it. A line is bounded, and so is what waits of a half one.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf } from '../../../model/index.ts';
import type { Clock, Logger } from '../../../runtime/index.ts';
import type { KairosIngest } from '../ingest.ts';
import { VERSION_NAME } from '../version.ts';
import { readLine } from './line.ts';
import { linesRead, linesRejected, telnetConnections } from './telemetry.ts';

export interface TelnetParts {
  readonly ingest: KairosIngest;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface TelnetServer {
  readonly port: number;
  /** Reads no more; what was read is in the log when it resolves, or its loss is logged. */
  close(): Promise<void>;
}

/** As KairosDB's own decoder has it: without the line's end. */
const LINE_BYTES_MAX = 1_024;
const CONNECTIONS_MAX = 10_000;
const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 5_000;
/** A log line about wrong lines at most this often. */
const COMPLAIN_EVERY_MS = 10_000;
const LF = 0x0a;
const CR = 0x0d;

/** Rejects with the error of `listen`. */
export async function listenTelnet(
  address: { readonly host: string; readonly port: number },
  parts: TelnetParts,
): Promise<TelnetServer> {
  const telnet = new Telnet(parts);
  await telnet.listen(address);
  return telnet;
}

class Telnet implements TelnetServer {
  port = 0;
  readonly #parts: TelnetParts;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #stopping = new AbortController();
  readonly #complaints: Complaints;

  constructor(parts: TelnetParts) {
    this.#parts = parts;
    this.#complaints = new Complaints(parts);
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  listen(address: { readonly host: string; readonly port: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(address, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) =>
          this.#parts.logger.warn(
            { err: error },
            'the telnet interface failed to take a connection',
          ),
        );
        this.port = (this.#server.address() as { port: number }).port;
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    await Promise.all([...this.#connections].map((connection) => connection.close()));
    await closed;
  }

  #accept(socket: Socket): void {
    const connection = new Connection(socket, this.#parts, this.#complaints, this.#stopping.signal);
    this.#connections.add(connection);
    telnetConnections(this.#connections.size);
    socket.once('close', () => {
      this.#connections.delete(connection);
      telnetConnections(this.#connections.size);
    });
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #parts: TelnetParts;
  readonly #complaints: Complaints;
  readonly #stopping: AbortSignal;
  /** A line's beginning. */
  #rest: Buffer = Buffer.alloc(0);
  /** The line under way is too long: what comes of it is passed over. */
  #passing = false;
  #working: Promise<void> = Promise.resolve();

  constructor(socket: Socket, parts: TelnetParts, complaints: Complaints, stopping: AbortSignal) {
    this.#socket = socket;
    this.#parts = parts;
    this.#complaints = complaints;
    this.#stopping = stopping;
    socket.on('data', (piece) => {
      socket.pause();
      this.#working = this.#take(piece as Buffer).then(() => {
        // Who sends and never reads its answers is read no further.
        if (socket.writableNeedDrain) socket.once('drain', () => this.#readOn());
        else this.#readOn();
      });
    });
    // Reset by the other side: what came whole is in the log.
    socket.on('error', () => socket.destroy());
  }

  #readOn(): void {
    if (!this.#stopping.aborted) this.#socket.resume();
  }

  async close(): Promise<void> {
    this.#socket.pause();
    await this.#working;
    this.#socket.destroy();
  }

  async #take(piece: Buffer): Promise<void> {
    const lines = this.#linesOf(piece);
    if (lines.length === 0) return;
    const { ingest, clock, logger } = this.#parts;
    let isFirst = true;
    for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(RETRY_MS_MAX, waitMs * 2)) {
      await ingest.room();
      // Nobody else can touch the draft before `accept` has taken its points.
      const points = this.#fill(lines, isFirst);
      isFirst = false;
      try {
        await ingest.accept(ingest.draft);
        return;
      } catch (error) {
        if (this.#stopping.aborted) {
          logger.error(
            { points, error: messageOf(error) },
            'points that came over telnet are lost: the log does not take them, and this process ends',
          );
          return;
        }
        logger.warn(
          { points, error: messageOf(error), waitMs },
          'the log does not take points; the telnet connection waits',
        );
        await clock.sleep(waitMs, this.#stopping).catch(() => {});
      }
    }
  }

  /** Answers and complaints only the first time that these lines are read. */
  #fill(lines: readonly string[], isFirst: boolean): number {
    const { draft } = this.#parts.ingest;
    draft.reset();
    for (const line of lines) {
      const outcome = readLine(line, draft);
      if (!isFirst) continue;
      if (outcome === 'version') this.#socket.write(`${VERSION_NAME}\n`);
      else if (typeof outcome === 'object') this.#complaints.add(line, outcome.wrong);
    }
    if (isFirst) linesRead(draft.count);
    return draft.count;
  }

  /** Whole lines; a half one is kept for the next piece. */
  #linesOf(piece: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = piece.indexOf(LF); end >= 0; end = piece.indexOf(LF, start)) {
      const part = piece.subarray(start, end);
      start = end + 1;
      if (this.#passing) {
        this.#passing = false;
        continue;
      }
      const line = this.#rest.length === 0 ? part : Buffer.concat([this.#rest, part]);
      this.#rest = Buffer.alloc(0);
      const length = line[line.length - 1] === CR ? line.length - 1 : line.length;
      if (length > LINE_BYTES_MAX) this.#tooLong(line);
      else lines.push(line.toString('latin1', 0, length));
    }
    if (this.#passing || start === piece.length) return lines;
    const rest = Buffer.concat([this.#rest, piece.subarray(start)]);
    // One more for the CR that may end it.
    if (rest.length > LINE_BYTES_MAX + 1) {
      this.#tooLong(rest);
      this.#passing = true;
      this.#rest = Buffer.alloc(0);
    } else this.#rest = rest;
    return lines;
  }

  #tooLong(line: Buffer): void {
    this.#complaints.add(
      line.toString('latin1', 0, 80),
      `frame length exceeds ${LINE_BYTES_MAX}: the line is passed over`,
    );
  }
}

/** Wrong lines in the log, throttled, with the last one as an example. */
class Complaints {
  readonly #parts: TelnetParts;
  #count = 0;
  #nextMs = 0;

  constructor(parts: TelnetParts) {
    this.#parts = parts;
  }

  add(line: string, reason: string): void {
    const { clock, logger } = this.#parts;
    linesRejected();
    this.#count++;
    const nowMs = clock.now();
    if (nowMs < this.#nextMs) return;
    logger.warn(
      { lines: this.#count, line: line.slice(0, 120), reason },
      'lines that came over telnet were not understood',
    );
    this.#count = 0;
    this.#nextMs = nowMs + COMPLAIN_EVERY_MS;
  }
}
