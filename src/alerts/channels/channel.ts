/** A channel as a sink: messages one by one, in order; one that is refused for good is a rejection. */
import type { Rejection, Sink } from '../../delivery/index.ts';
import { PoisonError } from '../../model/index.ts';
import type { AlertMessage } from '../message.ts';

/** What a channel's file offers. */
export interface Channel {
  /** Resolves when it is delivered. Rejects with RetriableError, FatalError, or PoisonError when it never can be. */
  send(message: AlertMessage, signal: AbortSignal | undefined): Promise<void>;
  /** A probe, where there is one that tells nobody anything. */
  check?(signal: AbortSignal | undefined): Promise<void>;
  close?(): Promise<void>;
}

export class ChannelSink implements Sink<AlertMessage> {
  readonly name: string;
  readonly #channel: Channel;

  constructor(name: string, channel: Channel) {
    this.name = name;
    this.#channel = channel;
  }

  async connect(): Promise<void> {}

  async write(
    messages: readonly AlertMessage[],
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    const rejections: Rejection[] = [];
    for (const [index, message] of messages.entries()) {
      try {
        await this.#channel.send(message, signal);
      } catch (error) {
        if (!(error instanceof PoisonError)) throw error;
        rejections.push({ index, message: error.message, code: error.code });
      }
    }
    return rejections;
  }

  async check(signal?: AbortSignal): Promise<void> {
    await this.#channel.check?.(signal);
  }

  async close(): Promise<void> {
    await this.#channel.close?.();
  }
}
