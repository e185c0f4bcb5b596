/** Joins feeds and the stores they end in for `tidemark verify`: how each tells what it holds. */
import type { FleetStore, RollupStore } from '../../databases/embedded/index.ts';
import type { InfluxConfig } from '../../databases/influx/index.ts';
import type { KairosStore } from '../../databases/kairos/index.ts';
import type { VerifiedFeed, VerifiedSink } from '../../jobs/index.ts';
import type { Clock } from '../../runtime/index.ts';
import type { Topology } from '../../stream/index.ts';
import type { BoundFeed } from '../feeds.ts';
import { POINTS_SINK } from '../points/index.ts';
import { clientPointsSide } from './client-points.ts';
import { fleetSide } from './fleet.ts';
import { historySide } from './history.ts';
import { influxSide } from './influx.ts';
import { kairosSide } from './kairos.ts';
import type { Side } from './side.ts';

export interface VerifiedSinksParts {
  readonly feeds: readonly BoundFeed[];
  /** Feeds that are only replayed, into sinks of live ones: `NAME.migrated`. */
  readonly replayed: readonly Topology[];
  readonly influx: InfluxConfig | undefined;
  readonly kairos: KairosStore;
  readonly rollups: RollupStore;
  readonly fleet: FleetStore;
  readonly clock: Clock;
}

/** All sinks but those that tell somebody, as alerts' channels do. */
export function verifiedSinks(parts: VerifiedSinksParts): readonly VerifiedSink[] {
  const { feeds, replayed } = parts;
  return feeds.flatMap((bound): VerifiedSink[] => {
    const side = sideOf(parts, bound.sink);
    if (side === undefined) return [];
    const { feed, sink, group, port } = bound;
    const { ofFeed = {}, ...own } = side;
    const beside = replayed.filter(
      ({ name, sinks }) => name === `${feed.name}.migrated` && sinks.includes(sink),
    );
    return [
      {
        name: feed.name,
        port,
        feeds: [
          ...beside.map((topology): VerifiedFeed => ({ topology, group: undefined, ...ofFeed })),
          { topology: feed, group, ...ofFeed },
        ],
        ...own,
      },
    ];
  });
}

/** By the sink's name; undefined: nothing is kept there. */
function sideOf(parts: VerifiedSinksParts, sink: string): Side | undefined {
  const { influx, kairos, rollups, fleet, clock } = parts;
  if (sink === POINTS_SINK) return clientPointsSide(kairos, clock);
  if (sink === 'kairos') return kairosSide(kairos);
  if (sink === 'history') return historySide(rollups);
  if (sink === 'fleet') return fleetSide(fleet);
  if (!sink.startsWith('influx:') || influx === undefined) return undefined;
  return influxSide(influx, sink.slice('influx:'.length), clock);
}
