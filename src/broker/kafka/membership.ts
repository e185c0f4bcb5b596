/**
 * One member of a consumer group: joins, keeps its place by heartbeats of its own (whatever the partitions'
 * owners are busy with), and joins anew when the group changes. Incremental as in KIP-429: partitions that stay
 * are never interrupted, and one that moves is given to its next owner only in the round after we let it go.
 */
import { FatalError, messageOf } from '../../model/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type { TopicPartition } from '../contract.ts';
import { assign } from './assignor.ts';
import type { Cluster } from './cluster.ts';
import { asTidemarkError, isTransient, typeOf } from './errors.ts';
import {
  ASSIGNOR_NAME,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from './subscription.ts';
import { groupRejoined } from './telemetry.ts';

export interface MembershipHandlers {
  /** What we hold now, to claim it. */
  owned(): readonly TopicPartition[];
  /** The coordinator's word; returns at once. */
  assignment(partitions: readonly TopicPartition[]): void;
  /** We were put out of the group: everything must go before we join again. */
  lost(): Promise<void>;
  failed(error: Error): void;
}

export interface MembershipSettings {
  readonly cluster: Cluster;
  readonly group: string;
  readonly topics: readonly string[];
  readonly sessionTimeoutMs: number;
  readonly handlers: MembershipHandlers;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The coordinator waits for members that are known but silent, at most this long. */
const REBALANCE_TIMEOUT_MS = 30_000;
const HEARTBEATS_PER_SESSION = 10;
/** The leader looks for new partitions this often. */
const TOPICS_CHECK_MS = 15_000;
const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 2_000;

interface Joined {
  readonly generationId: number;
  readonly memberId: string;
  readonly leaderId: string;
  readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[];
}

export class Membership {
  readonly #settings: MembershipSettings;
  readonly #stopping = new AbortController();
  #memberId = '';
  #generation = -1;
  #leads = false;
  #partitionCounts = '';
  #rejoin = false;
  #wake: () => void = () => {};
  #running: Promise<void> | undefined;

  constructor(settings: MembershipSettings) {
    this.#settings = settings;
  }

  start(): void {
    this.#running = this.#run().catch((error) => {
      if (!this.#stopping.signal.aborted) this.#settings.handlers.failed(error);
    });
  }

  /** What we claim has changed: tell the group. */
  rejoin(): void {
    this.#rejoin = true;
    this.#wake();
  }

  /** Ends heartbeats, and leaves the group so that it needn't wait for us to time out. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the consumer is stopping'));
    this.#wake();
    const { cluster, group } = this.#settings;
    if (this.#memberId === '') return;
    const memberId = this.#memberId;
    this.#memberId = '';
    try {
      // A join under way blocks the connection at the broker: hang up first.
      const coordinator = await cluster.coordinatorOf('group', group);
      if (this.#joining) await cluster.disconnect(coordinator);
      await cluster.request(coordinator, 'LeaveGroup', { groupId: group, memberId });
    } catch (error) {
      this.#settings.logger.debug(
        { group, error: messageOf(error) },
        'could not leave the group; it will notice by itself',
      );
    }
    await this.#running;
  }

  #joining = false;

  async #run(): Promise<void> {
    const { clock, group, logger } = this.#settings;
    const { signal } = this.#stopping;
    let backoffMs = BACKOFF_MIN_MS;
    while (!signal.aborted) {
      try {
        this.#rejoin = false;
        this.#joining = true;
        const assignment = await this.#join();
        this.#joining = false;
        if (signal.aborted) return;
        backoffMs = BACKOFF_MIN_MS;
        groupRejoined(group);
        this.#settings.handlers.assignment(assignment);
        await this.#stay();
      } catch (error) {
        this.#joining = false;
        if (signal.aborted) return;
        const type = typeOf(error);
        if (type === 'REBALANCE_IN_PROGRESS') continue;
        if (type === 'UNKNOWN_MEMBER_ID' || type === 'ILLEGAL_GENERATION') {
          logger.warn({ group, reason: type }, 'lost our place in the group; joining again');
          if (type === 'UNKNOWN_MEMBER_ID') this.#memberId = '';
          this.#generation = -1;
          await this.#settings.handlers.lost();
          continue;
        }
        if (type === 'INCONSISTENT_GROUP_PROTOCOL') {
          throw new FatalError(
            `consumer group ${group} is in use by another kind of consumer; choose another group or stop it`,
            { code: 'GROUP_IN_USE', cause: error, context: { group } },
          );
        }
        if (!isTransient(error)) throw asTidemarkError(error, `joining group ${group}`, { group });
        logger.debug(
          { group, error: messageOf(error) },
          'the group coordinator is away; trying again',
        );
        await clock.sleep(backoffMs, signal).catch(() => {});
        backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS);
      }
    }
  }

  async #join(): Promise<TopicPartition[]> {
    const { group, sessionTimeoutMs, topics, handlers } = this.#settings;
    const subscription = encodeSubscription({
      topics,
      owned: handlers.owned(),
      generation: this.#generation,
    });
    const joinGroup = (memberId: string) =>
      this.#coordinator('JoinGroup', {
        groupId: group,
        sessionTimeout: sessionTimeoutMs,
        rebalanceTimeout: REBALANCE_TIMEOUT_MS,
        memberId,
        protocolType: 'consumer',
        groupProtocols: [{ name: ASSIGNOR_NAME, metadata: subscription }],
      }) as Promise<Joined>;
    let joined: Joined;
    try {
      joined = await joinGroup(this.#memberId);
    } catch (error) {
      const given = (error as { memberId?: string }).memberId;
      if (typeOf(error) !== 'MEMBER_ID_REQUIRED' || given === undefined) throw error;
      this.#memberId = given;
      joined = await joinGroup(given);
    }
    this.#memberId = joined.memberId;
    this.#leads = joined.leaderId === joined.memberId;
    const { memberAssignment } = (await this.#coordinator('SyncGroup', {
      groupId: group,
      generationId: joined.generationId,
      memberId: joined.memberId,
      groupAssignment: this.#leads ? await this.#shareOut(joined) : [],
    })) as { memberAssignment: Buffer };
    this.#generation = joined.generationId;
    return decodeAssignment(memberAssignment);
  }

  async #shareOut(joined: Joined): Promise<{ memberId: string; memberAssignment: Buffer }[]> {
    const members = joined.members.map(({ memberId, memberMetadata }) =>
      decodeSubscription(memberId, memberMetadata),
    );
    const topics = [...new Set(members.flatMap((member) => member.topics))].sort();
    const counts = await this.#countPartitions(topics);
    this.#partitionCounts = JSON.stringify([...counts]);
    return [...assign(members, counts)].map(([memberId, partitions]) => ({
      memberId,
      memberAssignment: encodeAssignment(partitions),
    }));
  }

  async #countPartitions(topics: readonly string[]): Promise<Map<string, number>> {
    const { cluster } = this.#settings;
    const existing = await cluster.refresh(topics);
    const counts = new Map<string, number>();
    for (const topic of topics) {
      if (existing.includes(topic)) counts.set(topic, (await cluster.leadersOf(topic)).length);
    }
    return counts;
  }

  /** Heartbeats until the group changes, which throws, or we have something to tell it. */
  async #stay(): Promise<void> {
    const { clock, sessionTimeoutMs, group, topics } = this.#settings;
    const { signal } = this.#stopping;
    const intervalMs = sessionTimeoutMs / HEARTBEATS_PER_SESSION;
    let checkTopicsAtMs = clock.now() + TOPICS_CHECK_MS;
    while (!signal.aborted) {
      await this.#pause(intervalMs);
      if (signal.aborted || this.#rejoin) return;
      try {
        await this.#coordinator('Heartbeat', {
          groupId: group,
          groupGenerationId: this.#generation,
          memberId: this.#memberId,
        });
        if (this.#leads && clock.now() >= checkTopicsAtMs) {
          checkTopicsAtMs = clock.now() + TOPICS_CHECK_MS;
          const counts = await this.#countPartitions([...topics].sort());
          const known = new Map<string, number>(JSON.parse(this.#partitionCounts));
          for (const [topic, count] of counts) if (known.get(topic) !== count) return;
        }
      } catch (error) {
        // A coordinator that is away for a moment says nothing about our place; it will tell us when it is back.
        if (typeOf(error) === 'REBALANCE_IN_PROGRESS' || !isTransient(error)) throw error;
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    const { clock } = this.#settings;
    if (this.#rejoin) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await clock.sleep(ms, woken.signal).catch(() => {});
    this.#wake = () => {};
  }

  #coordinator(name: string, options: object): Promise<unknown> {
    const { cluster, group } = this.#settings;
    return cluster.requestCoordinator('group', group, name, options);
  }
}
