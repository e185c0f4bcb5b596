/** What the alert routes need of the engine; every shape is also the JSON that leaves the door. */
import type {
  Acknowledgement,
  AlertMatchers,
  AlertRule,
  AlertSeverity,
  AlertTransition,
  Silence,
} from '../../model/index.ts';

/** An alert as it stands. */
export interface AlertView extends AlertTransition {
  /** Of this episode. */
  readonly acknowledged: Acknowledgement | null;
  /** Id of a silence in force that fits. */
  readonly silencedBy: string | null;
}

export interface AlertRuleView extends Omit<AlertRule, 'staleMs' | 'overrides'> {
  /** One sentence: `mean of cpu.usage over 5 min above 70 (critical above 90)`. */
  readonly description: string;
  readonly overrides: readonly {
    readonly match: AlertMatchers;
    readonly warning: number | null;
    readonly critical: number | null;
    readonly enabled: boolean;
  }[];
  /** Alerts of this rule that fire now. */
  readonly firing: number;
}

export interface SilenceView extends Silence {
  readonly state: 'pending' | 'active' | 'expired';
}

export interface AlertQuery {
  /** Of the history, half-open on `at`, ms. */
  readonly from: number;
  readonly to: number;
  /** Of the history. */
  readonly limit: number;
  readonly rule?: string;
  readonly severity?: AlertSeverity;
}

export interface AlertsView {
  /** Newest first. */
  readonly firing: readonly AlertView[];
  readonly pending: readonly AlertView[];
  /** Transitions, newest first. */
  readonly history: readonly AlertTransition[];
}

export interface Alerts {
  list(query: AlertQuery): Promise<AlertsView>;
  rules(): Promise<readonly AlertRuleView[]>;
  /** Durable when it resolves. Rejects with UNKNOWN_ALERT or ALERT_NOT_FIRING. */
  acknowledge(
    id: string,
    note: { readonly by: string | null; readonly comment: string | null },
  ): Promise<AlertView>;
  silences(): Promise<readonly SilenceView[]>;
  /** Durable when it resolves. Rejects with TOO_MANY_SILENCES. */
  silence(
    silence: Omit<Silence, 'id' | 'createdAt' | 'startsAt'> & { readonly startsAt?: number },
  ): Promise<SilenceView>;
  /** Ends it now; undefined when there is none of that id. */
  endSilence(id: string): Promise<SilenceView | undefined>;
}
