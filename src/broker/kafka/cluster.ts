/**
 * Connections to a cluster's brokers, and who leads and coordinates what. One Cluster is one set of
 * connections: a broker answers a connection's requests strictly in turn, so whoever waits at the broker (a
 * group joining, a fetch) has a Cluster of its own.
 */
import net from 'node:net';
import tls, { type ConnectionOptions } from 'node:tls';
import { FatalError, messageOf, RetriableError } from '../../model/index.ts';
import type { Clock } from '../../runtime/index.ts';
import { isStaleCoordinator, isUnreachable, unknownTopic } from './errors.ts';
import {
  type ApiVersions,
  apiKeys,
  apiVersionsExchanges,
  Connection,
  Encoder,
  errorFromCode,
  exchangeOf,
  metadataResponse,
  mutedLogger,
  type WireConnection,
  type WireExchange,
} from './library.ts';
import type { KafkaSasl } from './options.ts';
import { receiveInPlace } from './receive.ts';

export interface ClusterSettings {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly tls: ConnectionOptions | null;
  readonly sasl: KafkaSasl | null;
  readonly requestTimeoutMs: number;
  readonly clock: Clock;
}

const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;
/** Kafka 2.3's fetch; from there on everything that we need exists. */
const FETCH_VERSION = 11;

interface Address {
  readonly host: string;
  readonly port: number;
}

interface Node {
  readonly connection: WireConnection;
  readonly reset: () => void;
  opening: Promise<void> | undefined;
}

interface Metadata {
  readonly brokers: readonly (Address & { readonly nodeId: number })[];
  readonly controllerId: number;
  readonly topicMetadata: readonly {
    readonly topicErrorCode: number;
    readonly topic: string;
    readonly isInternal: boolean;
    readonly partitionMetadata: readonly {
      readonly partitionErrorCode: number;
      readonly partitionId: number;
      readonly leader: number;
    }[];
  }[];
}

export type CoordinatorKind = 'group' | 'transaction';

const parseAddress = (text: string): Address => {
  const colon = text.lastIndexOf(':');
  const port = Number(text.slice(colon + 1));
  if (colon < 1 || !Number.isInteger(port) || port < 1 || port > 65535) {
    throw new FatalError(`KAFKA_BROKERS: expected host:port[,host:port…], got "${text}"`, {
      code: 'CONFIG_INVALID',
    });
  }
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port };
};

export class Cluster {
  readonly #settings: ClusterSettings;
  readonly #seeds: readonly Address[];
  /** By host:port, so that a seed and the node it turns out to be share a connection. */
  readonly #nodes = new Map<string, Node>();
  #addresses = new Map<number, Address>();
  #controllerId = -1;
  #versions: ApiVersions | undefined;
  /** Leader by partition number; -1 = none now. */
  readonly #leaders = new Map<string, readonly number[]>();
  readonly #coordinators = new Map<string, number>();
  #nextSeed = 0;
  #closed = false;

  constructor(settings: ClusterSettings) {
    this.#settings = settings;
    this.#seeds = settings.brokers.map(parseAddress);
    if (this.#seeds.length === 0) {
      throw new FatalError('KAFKA_BROKERS names no broker', { code: 'CONFIG_INVALID' });
    }
  }

  /** How many brokers there are, as of the last metadata. */
  get brokerCount(): number {
    return this.#addresses.size;
  }

  get nodeIds(): readonly number[] {
    return [...this.#addresses.keys()];
  }

  get controllerId(): number {
    return this.#controllerId;
  }

  /** Partition leaders of a topic, asking when not known; rejects with UNKNOWN_TOPIC. */
  async leadersOf(topic: string): Promise<readonly number[]> {
    const known = this.#leaders.get(topic);
    if (known !== undefined) return known;
    await this.refresh([topic]);
    const found = this.#leaders.get(topic);
    if (found === undefined) throw unknownTopic(topic);
    return found;
  }

  /** Who leads a partition as far as known; undefined = refresh first. */
  knownLeader(topic: string, partition: number): number | undefined {
    const leader = this.#leaders.get(topic)?.[partition];
    return leader === undefined || leader < 0 ? undefined : leader;
  }

  forgetLeaders(topic: string): void {
    this.#leaders.delete(topic);
  }

  /**
   * Asks for the topics named, or for all (undefined), and returns the names that exist. Unknown topics are
   * forgotten, not an error.
   */
  async refresh(topics?: readonly string[]): Promise<readonly string[]> {
    const metadata = (await this.sendToAny({
      request: {
        apiKey: apiKeys.Metadata!,
        apiVersion: 6,
        apiName: 'Metadata',
        encode: async () => {
          // An empty list is empty here; kafkajs' own request would ask for all.
          const encoder = new Encoder().writeInt32(topics === undefined ? -1 : topics.length);
          for (const topic of topics ?? []) encoder.writeString(topic);
          return encoder.writeBoolean(false);
        },
      },
      response: { decode: metadataResponse.decode, parse: async (decoded) => decoded },
    })) as Metadata;
    this.#addresses = new Map(
      metadata.brokers.map((b) => [b.nodeId, { host: b.host, port: b.port }]),
    );
    this.#controllerId = metadata.controllerId;
    for (const topic of topics ?? [...this.#leaders.keys()]) this.#leaders.delete(topic);
    const names: string[] = [];
    for (const topic of metadata.topicMetadata) {
      if (topic.topicErrorCode !== 0 && topic.topicErrorCode !== 5) {
        const error = errorFromCode(topic.topicErrorCode);
        if (error.type.includes('AUTHORIZATION')) throw error;
        continue;
      }
      const leaders: number[] = [];
      for (const p of topic.partitionMetadata) leaders[p.partitionId] = p.leader;
      this.#leaders.set(topic.topic, leaders);
      if (!topic.isInternal) names.push(topic.topic);
    }
    return names;
  }

  /** The broker that coordinates a group or a transactional id. */
  async coordinatorOf(kind: CoordinatorKind, key: string): Promise<number> {
    const name = `${kind}:${key}`;
    const known = this.#coordinators.get(name);
    if (known !== undefined) return known;
    const options = { coordinatorKey: key, coordinatorType: kind === 'group' ? 0 : 1 };
    const answer = (await this.requestAny('GroupCoordinator', {
      ...options,
      groupId: key,
    })) as { coordinator: Address & { nodeId: number } };
    const { nodeId, host, port } = answer.coordinator;
    this.#addresses.set(nodeId, { host, port });
    this.#coordinators.set(name, nodeId);
    return nodeId;
  }

  forgetCoordinator(kind: CoordinatorKind, key: string): void {
    this.#coordinators.delete(`${kind}:${key}`);
  }

  /** A request by kafkajs' name for it, in the newest version that both sides speak. */
  async request(nodeId: number, name: string, options: object): Promise<unknown> {
    const node = await this.#ready(this.#addressOf(nodeId));
    return this.#send(node, exchangeOf(this.#versions!, name, options));
  }

  async send(nodeId: number, exchange: WireExchange): Promise<unknown> {
    return this.#send(await this.#ready(this.#addressOf(nodeId)), exchange);
  }

  /** To the coordinator, looking it up again once when it has moved. Other failures are the caller's. */
  async requestCoordinator(
    kind: CoordinatorKind,
    key: string,
    name: string,
    options: object,
  ): Promise<unknown> {
    const nodeId = await this.coordinatorOf(kind, key);
    try {
      return await this.request(nodeId, name, options);
    } catch (error) {
      if (isStaleCoordinator(error) || isUnreachable(error)) this.forgetCoordinator(kind, key);
      throw error;
    }
  }

  async requestAny(name: string, options: object): Promise<unknown> {
    return this.#sendToAny(() => exchangeOf(this.#versions!, name, options));
  }

  async sendToAny(exchange: WireExchange): Promise<unknown> {
    return this.#sendToAny(() => exchange);
  }

  /** Ends the connection to a node, so that the next request makes a new one. */
  async disconnect(nodeId: number): Promise<void> {
    const address = this.#addresses.get(nodeId);
    const node = address && this.#nodes.get(`${address.host}:${address.port}`);
    if (node) await hangUp(node.connection, 'the connection is being renewed');
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(
      [...this.#nodes.values()].map((node) =>
        hangUp(node.connection, 'the broker is being closed'),
      ),
    );
    this.#nodes.clear();
  }

  async #sendToAny(exchange: () => WireExchange): Promise<unknown> {
    const known = [...this.#addresses.values()];
    const candidates = [
      ...known.filter(({ host, port }) =>
        this.#nodes.get(`${host}:${port}`)?.connection.isConnected(),
      ),
      ...this.#seeds.map((_, i) => this.#seeds[(i + this.#nextSeed) % this.#seeds.length]!),
      ...known,
    ];
    let failure: unknown;
    for (const address of candidates) {
      try {
        const node = await this.#ready(address);
        return await this.#send(node, exchange());
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        failure = error;
        this.#nextSeed++;
      }
    }
    throw new RetriableError(
      `no broker of ${this.#settings.brokers.join(', ')} can be reached: ${messageOf(failure)}`,
      { code: 'KAFKA_UNREACHABLE', cause: failure },
    );
  }

  #addressOf(nodeId: number): Address {
    const address = this.#addresses.get(nodeId);
    if (address === undefined) {
      throw new RetriableError(`broker ${nodeId} is not known (yet)`, {
        code: 'KAFKA_UNREACHABLE',
      });
    }
    return address;
  }

  async #send(node: Node, exchange: WireExchange): Promise<unknown> {
    try {
      return await node.connection.send(exchange);
    } catch (error) {
      // Who leaves us without an answer that long is asked over a new connection next time.
      if ((error as Error).name === 'KafkaJSRequestTimeoutError') {
        void hangUp(node.connection, 'a request was not answered in time').catch(() => {});
      }
      throw error;
    }
  }

  /** The node connected and authenticated; concurrent callers share one attempt. */
  async #ready(address: Address): Promise<Node> {
    if (this.#closed) {
      throw new FatalError('the broker is closed', { code: 'BROKER_CLOSED' });
    }
    const name = `${address.host}:${address.port}`;
    let node = this.#nodes.get(name);
    if (node === undefined) {
      node = this.#makeNode(address);
      this.#nodes.set(name, node);
    }
    const { connection } = node;
    if (connection.isConnected() && node.opening === undefined) {
      if (!this.#settings.sasl || connection.isAuthenticated()) return node;
    }
    node.opening ??= this.#open(node).finally(() => {
      node.opening = undefined;
    });
    await node.opening;
    return node;
  }

  async #open(node: Node): Promise<void> {
    const { connection } = node;
    if (!connection.isConnected()) {
      node.reset();
      await connection.connect();
      connection.setVersions(await this.#negotiate(connection));
      connection.setSupportAuthenticationProtocol(
        apiKeys.SaslAuthenticate! in (this.#versions as ApiVersions),
      );
    } else {
      // Due for re-authentication: kafkajs reads the next answer as SASL's, so nothing else may be under way.
      await connection.requestQueue.waitForPendingRequests();
    }
    await connection.authenticate();
  }

  async #negotiate(connection: WireConnection): Promise<ApiVersions> {
    if (this.#versions !== undefined) return this.#versions;
    let answer:
      | { apiVersions: { apiKey: number; minVersion: number; maxVersion: number }[] }
      | undefined;
    for (const exchange of apiVersionsExchanges()) {
      try {
        answer = (await connection.send(exchange)) as NonNullable<typeof answer>;
        break;
      } catch (error) {
        if ((error as { type?: string }).type !== 'UNSUPPORTED_VERSION') throw error;
      }
    }
    const versions: ApiVersions = {};
    for (const { apiKey, minVersion, maxVersion } of answer?.apiVersions ?? []) {
      versions[apiKey] = { minVersion, maxVersion };
    }
    const fetch = versions[apiKeys.Fetch!];
    if (
      fetch === undefined ||
      fetch.maxVersion < FETCH_VERSION ||
      fetch.minVersion > FETCH_VERSION
    ) {
      throw new FatalError(
        `${connection.host}:${connection.port} is older than Kafka 2.3 (or not Kafka); upgrade the broker`,
        { code: 'KAFKA_TOO_OLD' },
      );
    }
    this.#versions = versions;
    return versions;
  }

  #makeNode(address: Address): Node {
    const { clientId, requestTimeoutMs, tls: tlsOptions, sasl } = this.#settings;
    const connection = new Connection({
      ...address,
      logger: mutedLogger,
      clientId,
      requestTimeout: requestTimeoutMs,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      ssl: tlsOptions,
      sasl: sasl === null ? null : { ...sasl },
      socketFactory: ({ host, port, ssl, onConnect }) => {
        const socket =
          ssl === null
            ? net.connect({ host, port, onread: receiver.onread }, onConnect)
            : tls.connect(
                { host, port, ...(net.isIP(host) ? {} : { servername: host }), ...ssl },
                onConnect,
              );
        socket.setKeepAlive(true, KEEP_ALIVE_MS);
        socket.setNoDelay(true);
        return socket;
      },
    });
    const receiver = receiveInPlace(connection);
    const queue = connection.requestQueue;
    const schedule = queue.scheduleCheckPendingRequests;
    // kafkajs sets a timer of negative length after every answer; it is needed only when requests wait.
    queue.scheduleCheckPendingRequests = () => {
      if (queue.pending.length > 0) schedule.call(queue);
    };
    const reset = () => {
      // kafkajs only half-closes: what the old socket may still deliver must not reach the new one's reader.
      connection.socket?.destroy();
      receiver.reset();
    };
    return { connection, reset, opening: undefined };
  }
}

/** kafkajs waits for every answer before it hangs up; what is still waiting is refused first. */
async function hangUp(connection: WireConnection, why: string): Promise<void> {
  connection.rejectRequests(
    Object.assign(new Error(why), { name: 'KafkaJSConnectionClosedError' }),
  );
  await connection.disconnect();
}
