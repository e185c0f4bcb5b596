/** KairosDB's doors with a store right behind the log, for tests of routes: what is acknowledged is stored. */
import type { Broker } from '../../src/broker/index.ts';
import type { KairosStore } from '../../src/databases/kairos/index.ts';
import { systemClock } from '../../src/runtime/index.ts';
import { PointLog, pointsSink } from '../../src/wiring/points/index.ts';

export function ingestInto(store: KairosStore): PointLog {
  const sink = pointsSink({ name: 'test', store, onStored: () => {} });
  let offset = 0;
  const append: Broker['append'] = async (_topic, records) => {
    await sink.connect();
    const logged = records.map(({ value }) => ({
      partition: 0,
      offset: offset++,
      appendedAtMs: systemClock.now(),
      bytes: value as Buffer,
    }));
    await sink.write(logged);
    return logged.map(({ partition, offset }) => ({ partition, offset }));
  };
  return new PointLog({
    broker: { append } as Broker,
    clock: systemClock,
    topic: 'test',
    partitions: 1,
    write: { nonFinite: 'store' },
    stored: async () => {},
  });
}
