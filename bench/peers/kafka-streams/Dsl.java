import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowBytesStoreSupplier;

/**
 * The vote rollup as users of the DSL write it; BENCH_STORES is `memory` or `rocksdb`. Repetitions are
 * looked up in a key-value store: the window store of Confluent's tutorial, asked for the stretch around each event,
 * is 30 times slower when it is in memory, because it looks at every millisecond of the stretch.
 */
public final class Dsl {
  private static final boolean ROCKSDB = "rocksdb".equals(System.getenv("BENCH_STORES"));
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final ObjectReader VOTE = JSON.readerFor(Vote.class);
  private static final String SEEN = "seen";

  public static void main(String[] arguments) {
    Serde<Vote> vote =
        Serdes.serdeFrom(
            (topic, value) -> unchecked(() -> JSON.writeValueAsBytes(value)),
            (topic, bytes) -> unchecked(() -> VOTE.readValue(bytes)));
    Serde<Summary> summary =
        Serdes.serdeFrom(
            (topic, value) -> value == null ? null : value.toBytes(),
            (topic, bytes) -> bytes == null ? null : Summary.fromBytes(bytes));
    TimeWindows windows = TimeWindows.ofSizeAndGrace(Race.WINDOW, Race.GRACE);

    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.keyValueStoreBuilder(
            ROCKSDB ? Stores.persistentKeyValueStore(SEEN) : Stores.inMemoryKeyValueStore(SEEN),
            Serdes.String(),
            Serdes.Long()));
    builder.stream(
            Race.VOTES,
            Consumed.with(Serdes.String(), vote)
                .withTimestampExtractor((record, partitionTime) -> ((Vote) record.value()).timestamp))
        .processValues(Dedup::new, SEEN)
        .groupByKey(Grouped.with(Serdes.String(), vote))
        .windowedBy(windows)
        .aggregate(
            Summary::new,
            (validator, value, soFar) -> soFar.add(value.latencySlots()),
            Materialized.<String, Summary>as(windowStore())
                .withKeySerde(Serdes.String())
                .withValueSerde(summary))
        .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()))
        .toStream()
        .map(
            (key, value) ->
                KeyValue.pair(
                    key.key(),
                    unchecked(
                        () -> value.toJson(key.key(), key.window().start(), key.window().end()))))
        .to(Race.OUT, Produced.with(Serdes.String(), Serdes.ByteArray()));
    Streams.run(builder.build());
  }

  private static WindowBytesStoreSupplier windowStore() {
    Duration kept = Race.WINDOW.plus(Race.GRACE);
    return ROCKSDB
        ? Stores.persistentWindowStore("windows", kept, Race.WINDOW, false)
        : Stores.inMemoryWindowStore("windows", kept, Race.WINDOW, false);
  }

  /** Remembers when an identity first was; forgets it two stretches later, looking once per stretch. */
  private static final class Dedup implements FixedKeyProcessor<String, Vote, Vote> {
    private static final long WITHIN_MS = Race.REPETITION.toMillis();
    private FixedKeyProcessorContext<String, Vote> context;
    private KeyValueStore<String, Long> seen;

    @Override
    public void init(FixedKeyProcessorContext<String, Vote> context) {
      this.context = context;
      seen = context.getStateStore(SEEN);
      context.schedule(Race.REPETITION, PunctuationType.STREAM_TIME, this::forget);
    }

    @Override
    public void process(FixedKeyRecord<String, Vote> record) {
      Race.countRecord();
      Vote vote = record.value();
      String identity = vote.voteAccount + ":" + vote.votedSlot;
      Long first = seen.get(identity);
      if (first != null && Math.abs(vote.timestamp - first) <= WITHIN_MS) return;
      seen.put(identity, vote.timestamp);
      context.forward(record);
    }

    private void forget(long streamTime) {
      try (var all = seen.all()) {
        while (all.hasNext()) {
          var entry = all.next();
          if (entry.value < streamTime - 2 * WITHIN_MS) seen.delete(entry.key);
        }
      }
    }
  }

  private interface Throwing<T> {
    T get() throws IOException;
  }

  private static <T> T unchecked(Throwing<T> work) {
    try {
      return work.get();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }
}
