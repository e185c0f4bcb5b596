/**
 * Who is told what and when. The step reads transitions of alerts, what operators say, and ticks of the wall
 * clock; the log's time of each is its time, so that each decision is made of records and is made once: messages,
 * state and cursors move in one commit. It holds the episodes that fire or were told of lately, the groups
 * that wait, and the silences.
 */
import {
  type AlertSeverity,
  type AlertTransition,
  alertLabels,
  matches,
  type Silence,
} from '../model/index.ts';
import {
  forEachRow,
  jsonValues,
  madeFrom,
  type Operator,
  operator,
  Table,
  type TaskContext,
} from '../stream/index.ts';
import type { ChannelConfig } from './channels/config.ts';
import type { NotificationPolicy } from './config.ts';
import type { AlertMessage } from './message.ts';
import type { Note } from './note.ts';

/** What the step reads, of whichever topic. */
export type Incoming =
  | { readonly kind: 'alert'; readonly alert: AlertTransition }
  | { readonly kind: 'note'; readonly note: Note }
  | { readonly kind: 'tick' };

export interface DecideOptions {
  readonly channels: readonly ChannelConfig[];
  readonly policy: NotificationPolicy;
}

/** A group is sent at once when it holds so many. */
const GROUP_ALERTS_MAX = 500;

interface Episode {
  readonly alert: AlertTransition;
  /** A message about this episode was decided. */
  readonly told: boolean;
  readonly acknowledged: boolean;
  /** Of the last message about this alert, in whichever episode. */
  readonly last: {
    readonly severity: AlertSeverity;
    /** Event time of what it told. */
    readonly at: number;
    readonly wallMs: number;
  } | null;
  /** Stands in a group that waits. */
  readonly waiting: boolean;
}

interface Waiting {
  readonly dueMs: number;
  readonly channel: string;
  readonly group: string;
  /** By alert id; a later one takes the place of an earlier. */
  readonly alerts: Readonly<Record<string, AlertTransition & { readonly repeated: boolean }>>;
}

/** What the step shows to the process that ticks for it. */
export interface Alarm {
  /** When a tick is needed, ms; undefined: none is. */
  readonly wakeAtMs: number | undefined;
}

/** One step for all three sources of one drawing: they share what it knows. */
export class Decider implements Alarm {
  readonly #channels: readonly ChannelConfig[];
  readonly #policy: NotificationPolicy;
  readonly #episodes = new Table<Episode>(jsonValues());
  readonly #waiting = new Table<Waiting>(jsonValues());
  readonly #silences = new Table<Silence>(jsonValues());
  /** An acknowledgement may come before its alert, as topics are read side by side. */
  readonly #acknowledged = new Table<number>(jsonValues());
  /** One entry. */
  readonly #clock = new Table<number>(jsonValues());
  #registered = false;

  constructor({ channels, policy }: DecideOptions) {
    this.#channels = channels;
    this.#policy = policy;
  }

  /** State is registered by the first step that is built. */
  attach(task: TaskContext): void {
    if (this.#registered) return;
    this.#registered = true;
    task.store(this.#episodes, '/episodes');
    task.store(this.#waiting, '/waiting');
    task.store(this.#silences, '/silences');
    task.store(this.#acknowledged, '/acknowledged');
    task.store(this.#clock, '/clock');
    task.expose(ALARM, this);
  }

  take(incoming: Incoming, logTimeMs: number): readonly AlertMessage[] {
    const now = Math.max(this.#now, logTimeMs);
    if (now > this.#now) this.#clock.set('now', now);
    const messages: AlertMessage[] = [];
    if (incoming.kind === 'alert') this.#alert(incoming.alert, messages);
    else if (incoming.kind === 'note') this.#note(incoming.note);
    this.#tick(messages);
    messages.push(...this.#flush());
    return messages;
  }

  get wakeAtMs(): number | undefined {
    const { repeatMs } = this.#policy;
    let wake = Number.POSITIVE_INFINITY;
    for (const [, { dueMs }] of this.#waiting.entries()) wake = Math.min(wake, dueMs);
    for (const [, episode] of this.#episodes.entries()) {
      const { last, waiting, alert } = episode;
      if (waiting || last === null) {
        // Not told at all: when its silence ends.
        if (!waiting && !episode.acknowledged && alert.state === 'firing')
          wake = Math.min(wake, this.#silenceEnds(alert));
        continue;
      }
      const dueMs = last.wallMs + repeatMs;
      if (alert.state === 'resolved') wake = Math.min(wake, dueMs);
      else if (!episode.acknowledged)
        wake = Math.min(wake, Math.max(dueMs, this.#silenceEnds(alert)));
    }
    return Number.isFinite(wake) ? wake : undefined;
  }

  get #now(): number {
    return this.#clock.get('now') ?? 0;
  }

  #alert(alert: AlertTransition, messages: AlertMessage[]): void {
    if (alert.state === 'pending') return;
    const before = this.#episodes.get(alert.id);
    if (alert.state === 'resolved') {
      this.#resolved(alert, before, messages);
      return;
    }
    const isNew = before === undefined || before.alert.startedAt !== alert.startedAt;
    const last = before?.last ?? null;
    const isWorse =
      last === null || (alert.severity === 'critical' && last.severity !== 'critical');
    const isRepeated = last !== null && alert.at - last.at < this.#policy.repeatMs;
    const episode: Episode = {
      alert,
      told: !isNew && (before?.told ?? false),
      acknowledged: this.#acknowledged.get(alert.id) === alert.startedAt,
      last,
      waiting: before?.waiting ?? false,
    };
    this.#episodes.set(alert.id, episode);
    // A new episode soon after the last message is not told, nor a step down; one that got worse is.
    if (isWorse || (isNew && !isRepeated)) this.#queue(alert, false, messages);
  }

  #resolved(alert: AlertTransition, before: Episode | undefined, messages: AlertMessage[]): void {
    this.#acknowledged.delete(alert.id);
    if (before === undefined || before.alert.startedAt !== alert.startedAt) return;
    const isKnown = before.told || before.waiting;
    const episode = { ...before, alert, acknowledged: false };
    if (episode.last === null && !isKnown) this.#episodes.delete(alert.id);
    else this.#episodes.set(alert.id, episode);
    if (isKnown) this.#queue(alert, false, messages);
  }

  #note(note: Note): void {
    if (note.kind === 'silence') {
      const { kind: _, ...silence } = note;
      this.#silences.set(silence.id, silence);
    } else {
      this.#acknowledged.set(note.alert, note.startedAt);
      const episode = this.#episodes.get(note.alert);
      if (episode?.alert.startedAt === note.startedAt && episode.alert.state === 'firing') {
        this.#episodes.set(note.alert, { ...episode, acknowledged: true });
      }
    }
  }

  /** What time alone brings about: reminders, ends of silences, and forgetting. */
  #tick(messages: AlertMessage[]): void {
    const now = this.#now;
    const { repeatMs } = this.#policy;
    for (const [id, silence] of [...this.#silences.entries()])
      if (silence.endsAt <= now) this.#silences.delete(id);
    for (const [id, episode] of [...this.#episodes.entries()]) {
      const { alert, last, waiting, acknowledged } = episode;
      const isDue = last === null || now - last.wallMs >= repeatMs;
      if (!isDue || waiting) continue;
      if (alert.state === 'resolved') this.#episodes.delete(id);
      else if (!acknowledged && !this.#isSilenced(alert))
        this.#queue(alert, episode.told, messages);
    }
  }

  #queue(alert: AlertTransition, repeated: boolean, messages: AlertMessage[]): void {
    const labels = alertLabels(alert);
    const { groupBy, groupWaitMs } = this.#policy;
    const group = groupBy.map((label) => `${label}=${labels[label] ?? ''}`).join(' ');
    const goesTo = this.#channels.filter(
      ({ match, sendResolved }) =>
        matches(match, labels) && (alert.state !== 'resolved' || sendResolved),
    );
    if (goesTo.length === 0) {
      this.#told(alert);
      return;
    }
    for (const { name } of goesTo) {
      const place = `${name}\u001f${group}`;
      const waiting = this.#waiting.get(place);
      const next: Waiting = {
        channel: name,
        group,
        dueMs: waiting?.dueMs ?? this.#now + groupWaitMs,
        alerts: { ...waiting?.alerts, [alert.id]: { ...alert, repeated } },
      };
      this.#waiting.set(place, next);
      if (Object.keys(next.alerts).length >= GROUP_ALERTS_MAX) messages.push(...this.#send(place));
    }
    const episode = this.#episodes.get(alert.id);
    if (episode !== undefined) this.#episodes.set(alert.id, { ...episode, waiting: true });
  }

  #flush(): readonly AlertMessage[] {
    const messages: AlertMessage[] = [];
    for (const [place, { dueMs }] of [...this.#waiting.entries()])
      if (dueMs <= this.#now) messages.push(...this.#send(place));
    return messages;
  }

  #send(place: string): readonly AlertMessage[] {
    const { channel, group, alerts } = this.#waiting.get(place) as Waiting;
    this.#waiting.delete(place);
    const sent = [];
    for (const alert of Object.values(alerts)) {
      // What is silenced now waits for the silence's end; its end is told only if its begin was.
      if (this.#isSilenced(alert)) this.#notWaiting(alert.id);
      else {
        sent.push(alert);
        this.#told(alert);
      }
    }
    if (sent.length === 0) return [];
    const [first] = sent;
    return [
      {
        // With the episode: of a backlog several are decided in one instant of the log.
        id: `${channel}/${group}/${this.#now}/${first?.id}-${first?.startedAt}-${first?.sequence}`,
        channel,
        group,
        at: this.#now,
        firing: sent.filter(({ state }) => state === 'firing'),
        resolved: sent
          .filter(({ state }) => state === 'resolved')
          .map(({ repeated: _, ...alert }) => alert),
      },
    ];
  }

  #told(alert: AlertTransition): void {
    const episode = this.#episodes.get(alert.id);
    if (episode === undefined) return;
    const now = this.#now;
    const { last } = episode;
    // A reminder's event time is that of the last message and the time since: the alert itself says nothing new.
    const at = Math.max(alert.at, last === null ? alert.at : last.at + (now - last.wallMs));
    const isEnd = alert.state === 'resolved';
    const isOver = episode.alert.state === 'resolved';
    this.#episodes.set(alert.id, {
      ...episode,
      waiting: false,
      told: !isOver,
      // The end of an episode is no reason to hold back the next one's begin for longer.
      last:
        isEnd && last !== null
          ? last
          : { severity: alert.severity, at: isEnd ? alert.startedAt : at, wallMs: now },
    });
  }

  #notWaiting(id: string): void {
    const episode = this.#episodes.get(id);
    if (episode === undefined) return;
    if (episode.alert.state === 'resolved' && episode.last === null) this.#episodes.delete(id);
    else this.#episodes.set(id, { ...episode, waiting: false });
  }

  #isSilenced(alert: AlertTransition): boolean {
    return this.#silenceEnds(alert) > this.#now;
  }

  /** The latest end of the silences in force that fit; 0 when there is none. */
  #silenceEnds(alert: AlertTransition): number {
    const labels = alertLabels(alert);
    const now = this.#now;
    let end = 0;
    for (const [, { startsAt, endsAt, matchers }] of this.#silences.entries())
      if (startsAt <= now && now < endsAt && matches(matchers, labels)) end = Math.max(end, endsAt);
    return end;
  }
}

export const ALARM = 'alarm';

/** The step over one of the three sources; `decider` is the drawing's. */
export function decide<T>(
  decider: Decider,
  incoming: (row: T) => Incoming | undefined,
): Operator<T, AlertMessage> {
  return operator<T, AlertMessage>({ kind: 'decide', detail: {} }, (task) => {
    decider.attach(task);
    return {
      next: (batch, emit) => {
        const rows: AlertMessage[] = [];
        const from: number[] = [];
        forEachRow(batch, (i) => {
          const given = incoming(batch.row(i));
          if (given === undefined) return;
          for (const message of decider.take(given, batch.timestamps[i] as number)) {
            rows.push(message);
            from.push(i);
          }
        });
        emit(madeFrom(batch, rows, from));
      },
    };
  });
}
