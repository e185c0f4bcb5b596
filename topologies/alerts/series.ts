/** Transitions of alerts as points of the bucket `alerts_history` [S5], and the feed that carries them there. */
import { type AlertTransition, type Point, pointTimestampNs } from '../../src/model/index.ts';
import { jsonCodec, type Topology, topology } from '../../src/stream/index.ts';

/** A repetition lands on itself: the timestamp's nanoseconds come from the transition's identity. */
export function alertPoint(alert: AlertTransition): Point {
  const { id, rule, severity, state, subject, labels, summary, value, threshold } = alert;
  return {
    measurement: 'alerts',
    tags: { ...labels, rule, severity, state },
    fields: {
      alert_id: id,
      subject,
      summary,
      started_at: BigInt(alert.startedAt),
      sequence: BigInt(alert.sequence),
      ...(value === null ? {} : { value }),
      ...(threshold === null ? {} : { threshold }),
    },
    timestampNs: pointTimestampNs(alert.at, `${id}:${alert.startedAt}:${alert.sequence}`),
  };
}

export interface AlertFeedNames {
  readonly feed?: (name: string) => string;
  readonly bucket?: (name: string) => string;
}

export function alertHistoryFeed(
  topic: string,
  { feed = (name) => name, bucket = (name) => name }: AlertFeedNames = {},
): Topology {
  return topology(feed('influx.alerts'), ({ source }) => {
    source(topic, jsonCodec<AlertTransition>({ name: 'alert', timestamp: 'at' }), {
      rejects: 'skip',
      futureToleranceMs: Number.POSITIVE_INFINITY,
    }).into(`influx:${bucket('alerts_history')}`, (alert) => [alertPoint(alert)]);
  });
}
