/**
 * The one door to kafkajs 2.2.4. We use its connections (TLS, SASL, request queue) and its wire messages, and
 * none of its consumer or producer; nothing of it is altered globally, so a user's own kafkajs in the same
 * process stays as it is. Everything below is kafkajs-internal: the version is pinned in package.json.
 */
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';

const require = createRequire(import.meta.url);

/** kafkajs' protocol encoder; `buffer` is what was written so far. */
export interface WireEncoder {
  readonly buffer: Buffer;
  writeInt8(value: number): WireEncoder;
  writeInt16(value: number): WireEncoder;
  writeInt32(value: number): WireEncoder;
  writeBoolean(value: boolean): WireEncoder;
  writeString(value: string | null): WireEncoder;
  writeBytes(value: Buffer | null): WireEncoder;
  writeBuffer(value: Buffer): WireEncoder;
  writeEncoder(value: WireEncoder): WireEncoder;
  writeArray(values: readonly unknown[], type?: string): WireEncoder;
}

export interface WireRequest {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  readonly expectResponse?: () => boolean;
  encode(): Promise<WireEncoder>;
}

export interface WireExchange {
  readonly request: WireRequest;
  readonly response: {
    decode(payload: Buffer): Promise<unknown>;
    parse(decoded: unknown): Promise<unknown>;
  };
  readonly requestTimeout?: number;
  readonly logResponseError?: boolean;
}

type MakeExchange = (options: object) => WireExchange;

export interface RequestDefinition {
  readonly versions: readonly string[];
  protocol(options: { version: number }): MakeExchange;
}

export type ApiVersions = Record<number, { minVersion: number; maxVersion: number }>;

export interface KafkajsLogger {
  namespace(name: string): KafkajsLogger;
}

export interface WireConnection {
  readonly host: string;
  readonly port: number;
  readonly socket?: Socket;
  readonly sasl: object | null;
  chunks: Buffer[];
  bytesBuffered: number;
  bytesNeeded: number;
  authHandlers: unknown;
  processData(data: Buffer): void;
  readonly requestQueue: {
    readonly inflight: Map<number, unknown>;
    fulfillRequest(response: { correlationId: number; payload: Buffer; size: number }): void;
    waitForPendingRequests(): Promise<void>;
    readonly pending: readonly unknown[];
    scheduleCheckPendingRequests(): void;
  };
  connect(): Promise<unknown>;
  disconnect(): Promise<unknown>;
  isConnected(): boolean;
  isAuthenticated(): boolean;
  authenticate(): Promise<void>;
  setVersions(versions: ApiVersions): void;
  setSupportAuthenticationProtocol(supported: boolean): void;
  send(exchange: WireExchange): Promise<unknown>;
  rejectRequests(error: Error): void;
}

export interface ConnectionSettings {
  readonly host: string;
  readonly port: number;
  readonly logger: KafkajsLogger;
  readonly socketFactory: (options: {
    host: string;
    port: number;
    ssl: ConnectionOptions | null;
    onConnect: () => void;
  }) => Socket;
  readonly requestTimeout: number;
  readonly connectionTimeout: number;
  readonly ssl: ConnectionOptions | null;
  readonly sasl: object | null;
  readonly clientId: string;
}

export const Connection = require('kafkajs/src/network/connection') as new (
  settings: ConnectionSettings,
) => WireConnection;

export const Encoder = require('kafkajs/src/protocol/encoder') as new (
  initialSize?: number,
) => WireEncoder;

const library = require('kafkajs/src/protocol/requests') as {
  requests: Record<string, RequestDefinition>;
  lookup(versions: ApiVersions): (apiKey: number, definition: RequestDefinition) => MakeExchange;
};

export const apiKeys = require('kafkajs/src/protocol/requests/apiKeys') as Record<string, number>;

/** The newest version of a request that kafkajs and the broker both speak. */
export function exchangeOf(versions: ApiVersions, name: string, options: object): WireExchange {
  return library.lookup(versions)(apiKeys[name]!, library.requests[name]!)(options);
}

/** Versions of the ApiVersions request to try, newest first. */
export function apiVersionsExchanges(): readonly WireExchange[] {
  const definition = library.requests.ApiVersions!;
  return definition.versions
    .map(Number)
    .sort((a, b) => b - a)
    .map((version) => definition.protocol({ version })({}));
}

/** kafkajs' Fetch v11 request; the answer is decoded by us. */
export const fetchRequest = require('kafkajs/src/protocol/requests/fetch/v11/request') as (
  options: object,
) => WireRequest;

/** Metadata v6: kafkajs' own parser throws for all topics when one is unknown, so we use only its decoder. */
export const metadataResponse = require('kafkajs/src/protocol/requests/metadata/v6/response') as {
  decode(payload: Buffer): Promise<unknown>;
};
export const listOffsetsResponse =
  require('kafkajs/src/protocol/requests/listOffsets/v3/response') as {
    decode(payload: Buffer): Promise<unknown>;
  };
export const listOffsetsRequest =
  require('kafkajs/src/protocol/requests/listOffsets/v3/request') as (
    options: object,
  ) => WireRequest;
export const produceResponse = require('kafkajs/src/protocol/requests/produce/v7/response') as {
  decode(payload: Buffer): Promise<unknown>;
};

const protocolErrors = require('kafkajs/src/protocol/error') as {
  createErrorFromCode(code: number): Error & { type: string; code: number; retriable: boolean };
};

/** A protocol error as kafkajs would throw it. */
export const errorFromCode = (code: number) => protocolErrors.createErrorFromCode(code);

const loggers = require('kafkajs/src/loggers') as {
  LEVELS: Record<'NOTHING' | 'ERROR' | 'WARN' | 'INFO' | 'DEBUG', number>;
  createLogger(options: { level: number; logCreator: () => () => void }): KafkajsLogger;
};

/** kafkajs' own log lines are dropped: each failure reaches us as an error, and we log it with its context. */
export const mutedLogger: KafkajsLogger = loggers.createLogger({
  level: loggers.LEVELS.NOTHING,
  logCreator: () => () => {},
});
