/** The named queries of InfluxDB for the HTTP service; undefined when no InfluxDB is named. */
import type { StoredQueries } from '../api/index.ts';
import { InfluxReader, type QueryName, queryTemplates } from '../databases/influx/index.ts';
import type { Clock, Settings } from '../runtime/index.ts';
import { influxOf } from './feeds.ts';

export function storedQueries(settings: Settings, clock: Clock): StoredQueries | undefined {
  const config = influxOf(settings);
  if (config === undefined) return undefined;
  const reader = new InfluxReader({ config, clock });
  const list = Object.entries(queryTemplates).map(([name, { says, needs }]) => ({
    name,
    says,
    needs,
  }));
  return {
    list: () => list,
    ask: (name, values) => reader.ask(name as QueryName, values),
  };
}
