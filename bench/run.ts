/** `npm run bench -- NAME [options]` runs bench/NAME.ts; without a name it lists them. */
const benches: Readonly<Record<string, string>> = {
  pipeline: 'the vote topology on Kafka, exactly once, against a raw consumer that only parses',
  peers:
    'the same beside Kafka Streams (Processor API, DSL in memory and on RocksDB), Flink and Bytewax',
  'check-entrant': 'the same in several processes, one of them killed: is every window right?',
  sinks: 'points per second into InfluxDB and Cassandra, beside SQLite',
  kairos: 'ingest and queries beside a Java KairosDB: on Cassandra, and embedded beside H2',
  live: 'answers of the live endpoints while votes flow',
  dashboard: 'its pages in Chromium: start, first values, and how soon an event is on them',
  fleet: 'a simulated fleet reporting, and answers of its endpoints meanwhile',
  'copy-influx': 'a million points from InfluxDB 1.x to 2.7, beside a simple script',
  backup: 'backup and restore of a data directory that is written meanwhile, beside a plain copy',
  decode: 'votes from bytes to columns, against JSON.parse',
  digest: 'our t-digest against npm tdigest',
  'embedded-log': 'appends, reads and commits of the embedded log',
};

const [name] = process.argv.splice(2, 1);
if (name === undefined || !Object.hasOwn(benches, name)) {
  const width = Math.max(...Object.keys(benches).map((bench) => bench.length));
  for (const [bench, says] of Object.entries(benches)) {
    process.stdout.write(`  npm run bench -- ${bench.padEnd(width)}  ${says}\n`);
  }
  process.exit(name === undefined ? 0 : 2);
}
await import(`./${name}.ts`);
