/**
 * How alerts stand, for those who ask: folded from the topic of alerts and the topic of notes, up to the end of
 * both at each question, so that every process gives the same answer, also right after a restart or a write.
 * It holds the alerts that are not resolved, and the last `HISTORY_MAX` transitions (about 30 MB when full);
 * older ones are in the log and in InfluxDB.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { Broker, RecordBatch } from '../broker/index.ts';
import {
  type Acknowledgement,
  type AlertSeverity,
  type AlertTransition,
  alertLabels,
  days,
  FatalError,
  matches,
  type Silence,
} from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';
import { type AcknowledgementNote, type Note, noteKey, type SilenceNote } from './note.ts';
import { ALERT_NOTES, ALERTS, alertTopics } from './topics.ts';

const HISTORY_MAX = 50_000;
const SILENCES_MAX = 1_000;
/** A silence that is over is still shown for so long. */
const SHOWN_AFTER_MS = days(1);

export interface StandingAlert extends AlertTransition {
  readonly acknowledged: Acknowledgement | null;
  readonly silencedBy: string | null;
}

export interface ShownSilence extends Silence {
  readonly state: 'pending' | 'active' | 'expired';
}

export interface BookQuery {
  readonly from: number;
  readonly to: number;
  readonly limit: number;
  readonly rule?: string;
  readonly severity?: AlertSeverity;
}

export class AlertBook {
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #positions = new Map<string, number>();
  /** Last transition of each id that is not resolved. */
  readonly #open = new Map<string, AlertTransition>();
  readonly #acknowledgements = new Map<string, AcknowledgementNote>();
  readonly #silences = new Map<string, Silence>();
  #history: AlertTransition[] = [];
  #reading: Promise<void> = Promise.resolve();

  constructor(parts: { readonly broker: Broker; readonly clock: Clock }) {
    this.#broker = parts.broker;
    this.#clock = parts.clock;
  }

  async list(query: BookQuery): Promise<{
    readonly firing: readonly StandingAlert[];
    readonly pending: readonly StandingAlert[];
    readonly history: readonly AlertTransition[];
  }> {
    await this.#catchUp();
    const wanted = (alert: AlertTransition) =>
      (query.rule === undefined || alert.rule === query.rule) &&
      (query.severity === undefined || alert.severity === query.severity);
    const open = [...this.#open.values()].filter(wanted).sort((a, b) => b.at - a.at);
    const history: AlertTransition[] = [];
    for (let i = this.#history.length - 1; i >= 0 && history.length < query.limit; i--) {
      const alert = this.#history[i] as AlertTransition;
      if (alert.at >= query.from && alert.at < query.to && wanted(alert)) history.push(alert);
    }
    return {
      firing: open.filter(({ state }) => state === 'firing').map((each) => this.#standing(each)),
      pending: open.filter(({ state }) => state === 'pending').map((each) => this.#standing(each)),
      history,
    };
  }

  /** How many alerts of each rule fire. */
  async firingByRule(): Promise<ReadonlyMap<string, number>> {
    await this.#catchUp();
    const counts = new Map<string, number>();
    for (const { rule, state } of this.#open.values())
      if (state === 'firing') counts.set(rule, (counts.get(rule) ?? 0) + 1);
    return counts;
  }

  async acknowledge(
    id: string,
    note: { readonly by: string | null; readonly comment: string | null },
  ): Promise<StandingAlert> {
    await this.#catchUp();
    const alert = this.#open.get(id);
    if (alert?.state !== 'firing') {
      const known = alert ?? this.#history.findLast((each) => each.id === id);
      throw known === undefined
        ? new FatalError(`there is no alert ${JSON.stringify(id)}`, { code: 'UNKNOWN_ALERT' })
        : new FatalError(`the alert is ${known.state}`, { code: 'ALERT_NOT_FIRING' });
    }
    const { startedAt } = alert;
    await this.#say({
      kind: 'acknowledgement',
      alert: id,
      startedAt,
      at: this.#clock.now(),
      ...note,
    });
    return this.#standing(this.#open.get(id) ?? alert);
  }

  async silences(): Promise<readonly ShownSilence[]> {
    await this.#catchUp();
    const oldest = this.#clock.now() - SHOWN_AFTER_MS;
    return [...this.#silences.values()]
      .filter(({ endsAt }) => endsAt > oldest)
      .sort((a, b) => b.createdAt - a.createdAt)
      .map((silence) => this.#shown(silence));
  }

  async silence(
    given: Omit<Silence, 'id' | 'createdAt' | 'startsAt'> & { readonly startsAt?: number },
  ): Promise<ShownSilence> {
    await this.#catchUp();
    const now = this.#clock.now();
    const inForce = [...this.#silences.values()].filter(({ endsAt }) => endsAt > now);
    if (inForce.length >= SILENCES_MAX) {
      throw new FatalError(`${SILENCES_MAX} silences are in force or to come already`, {
        code: 'TOO_MANY_SILENCES',
      });
    }
    const silence: Silence = {
      ...given,
      id: createHash('sha256').update(randomUUID()).digest('hex').slice(0, 12),
      startsAt: given.startsAt ?? now,
      createdAt: now,
    };
    await this.#say({ kind: 'silence', ...silence });
    return this.#shown(silence);
  }

  async endSilence(id: string): Promise<ShownSilence | undefined> {
    await this.#catchUp();
    const silence = this.#silences.get(id);
    if (silence === undefined) return undefined;
    const now = this.#clock.now();
    if (silence.endsAt <= now) return this.#shown(silence);
    // One that has not begun ends where it begins.
    const ended = { ...silence, endsAt: now, startsAt: Math.min(silence.startsAt, now) };
    await this.#say({ kind: 'silence', ...ended });
    return this.#shown(ended);
  }

  async #say(note: Note): Promise<void> {
    const records = [{ key: noteKey(note), value: JSON.stringify(note) as string | null }];
    const old = this.#clock.now() - SHOWN_AFTER_MS;
    for (const silence of this.#silences.values()) {
      // A compacted topic forgets nothing by itself.
      if (silence.endsAt <= old) records.push({ key: `silence:${silence.id}`, value: null });
    }
    for (const { alert } of this.#acknowledgements.values()) {
      if (!this.#open.has(alert)) records.push({ key: `ack:${alert}`, value: null });
    }
    await this.#broker.createTopics(alertTopics);
    await this.#broker.append(ALERT_NOTES, records);
    await this.#catchUp();
  }

  #standing(alert: AlertTransition): StandingAlert {
    const note = this.#acknowledgements.get(alert.id);
    const now = this.#clock.now();
    const labels = alertLabels(alert);
    const silence = [...this.#silences.values()].find(
      ({ startsAt, endsAt, matchers }) =>
        startsAt <= now && now < endsAt && matches(matchers, labels),
    );
    return {
      ...alert,
      acknowledged:
        note?.startedAt === alert.startedAt
          ? { by: note.by, comment: note.comment, at: note.at }
          : null,
      silencedBy: silence?.id ?? null,
    };
  }

  #shown(silence: Silence): ShownSilence {
    const now = this.#clock.now();
    const state = silence.endsAt <= now ? 'expired' : silence.startsAt > now ? 'pending' : 'active';
    return { ...silence, state };
  }

  /** One after the other, so that no record is folded twice. */
  #catchUp(): Promise<void> {
    const next = this.#reading.catch(() => {}).then(() => this.#readOn());
    this.#reading = next;
    return next;
  }

  async #readOn(): Promise<void> {
    const described = await this.#broker.describeTopics([ALERTS, ALERT_NOTES]);
    for (const { name: topic, partitions } of described) {
      for (const { partition, firstOffset, nextOffset } of partitions) {
        const place = `${topic}/${partition}`;
        let from = Math.max(firstOffset, this.#positions.get(place) ?? 0);
        while (from < nextOffset) {
          const batch = await this.#broker.read({ topic, partition, from });
          if (batch === null) break;
          for (let i = 0; i < batch.count; i++)
            this.#fold(topic, keyAt(batch, i), valueAt(batch, i));
          from = batch.nextOffset;
          this.#positions.set(place, from);
        }
      }
    }
  }

  #fold(topic: string, key: string, value: string | null): void {
    if (topic === ALERTS) {
      const alert = parsed<AlertTransition>(value);
      if (alert === undefined) return;
      this.#history.push(alert);
      // Rarely and many at once, as cutting an array's head costs its length.
      if (this.#history.length > HISTORY_MAX * 1.1)
        this.#history = this.#history.slice(-HISTORY_MAX);
      if (alert.state === 'resolved') this.#open.delete(alert.id);
      else this.#open.set(alert.id, alert);
      return;
    }
    const note = parsed<Note>(value);
    if (note === undefined) {
      this.#silences.delete(key.replace(/^silence:/, ''));
      this.#acknowledgements.delete(key.replace(/^ack:/, ''));
    } else if (note.kind === 'silence') {
      const { kind: _, ...silence } = note satisfies SilenceNote;
      this.#silences.set(silence.id, silence);
    } else this.#acknowledgements.set(note.alert, note);
  }
}

/** Anybody may publish to `alerts`; what is none of ours is passed over. */
function parsed<T>(value: string | null): T | undefined {
  if (value === null) return undefined;
  try {
    const row = JSON.parse(value) as T;
    return typeof row === 'object' && row !== null ? row : undefined;
  } catch {
    return undefined;
  }
}

const textAt = (batch: RecordBatch, start: number, end: number): string | null =>
  start < 0 ? null : batch.bytes.toString('utf8', start, end);
const keyAt = (batch: RecordBatch, i: number): string =>
  textAt(batch, batch.keyStart[i] as number, batch.keyEnd[i] as number) ?? '';
const valueAt = (batch: RecordBatch, i: number): string | null =>
  textAt(batch, batch.valueStart[i] as number, batch.valueEnd[i] as number);
