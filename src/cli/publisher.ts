/**
 * Lines → publish requests, one under way at a time while the next is being gathered: little latency for a
 * trickle, large requests for a flood, bounded memory for both.
 */
import type { ProblemItem } from '../api/index.ts';
import { FatalError, TidemarkError } from '../model/index.ts';
import type { Client } from './client.ts';
import type { Lines } from './lines.ts';

/** A request is sent at the latest when this much is gathered. */
const REQUEST_BYTES = 1_024 * 1_024;
const REASONS_SHOWN_MAX = 10;

export class Publisher {
  readonly #client: Client;
  readonly #topic: string;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #gatheredLines = 0;
  /** Lines before the gathered ones. */
  #linesSent = 0;
  #underWay: Promise<void> | undefined;
  #failure: unknown;
  /** Records that the engine has stored. */
  published = 0;

  constructor(client: Client, topic: string) {
    this.#client = client;
    this.#topic = topic;
  }

  /** Resolves when more may be added. Rejects once a request was refused. */
  async add(lines: Lines): Promise<void> {
    this.#throwIfFailed();
    this.#gathered.push(lines.bytes);
    this.#gatheredBytes += lines.bytes.length;
    this.#gatheredLines += lines.count;
    if (this.#gatheredBytes >= REQUEST_BYTES) await this.#underWay;
    this.#throwIfFailed();
    this.#sendIfIdle();
  }

  /** Resolves when everything added is stored. */
  async flush(): Promise<void> {
    while (this.#underWay !== undefined || this.#gathered.length > 0) {
      this.#throwIfFailed();
      this.#sendIfIdle();
      await this.#underWay;
    }
    this.#throwIfFailed();
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #sendIfIdle(): void {
    if (this.#underWay !== undefined || this.#gathered.length === 0) return;
    const body = Buffer.concat(this.#gathered);
    const firstLine = this.#linesSent + 1;
    this.#linesSent += this.#gatheredLines;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#gatheredLines = 0;
    this.#underWay = this.#send(body, firstLine)
      .catch((error) => {
        this.#failure = error;
      })
      .then(() => {
        this.#underWay = undefined;
        if (this.#failure === undefined) this.#sendIfIdle();
      });
  }

  async #send(body: Buffer, firstLine: number): Promise<void> {
    if (isBlank(body)) return;
    const path = `/v1/topics/${encodeURIComponent(this.#topic)}/records`;
    try {
      const { count } = await this.#client.postLines<{ count: number }>(path, body);
      this.published += count;
    } catch (error) {
      throw this.#explain(error, firstLine);
    }
  }

  /** Says which lines are wrong, counted in the whole input, and what was stored before them. */
  #explain(error: unknown, firstLine: number): unknown {
    if (!(error instanceof TidemarkError)) return error;
    const items = (error.context.errors ?? []) as readonly ProblemItem[];
    const reasons = items
      .slice(0, REASONS_SHOWN_MAX)
      .map(({ line, message }) => `\n  line ${(line ?? 1) + firstLine - 1}: ${message}`);
    const more = items.length - reasons.length;
    return new FatalError(
      `${error.message}${reasons.join('')}${more > 0 ? `\n  and ${more} more` : ''}\n` +
        `${this.published} records were published; none from line ${firstLine} on`,
      { code: error.code, cause: error },
    );
  }
}

const isBlank = (body: Buffer): boolean => body.every((byte) => byte === 0x0a || byte === 0x0d);
