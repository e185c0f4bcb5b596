import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.KafkaSourceOptions;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * The vote rollup in Flink's DataStream API, in a cluster of one process and one slot: exactly once, a checkpoint
 * every 2 s, state on the heap. The two exchanges cost it little: without any it needs as much processor time.
 */
public final class Flink {
  public static void main(String[] arguments) throws Exception {
    var env = StreamExecutionEnvironment.createLocalEnvironment(1, settings());
    env.getConfig().enableObjectReuse();
    env.enableCheckpointing(Race.COMMIT_EVERY.toMillis());

    // Windows close with the grace behind the newest vote, so that Flink's own grace (allowed lateness) is none.
    var watermarks =
        WatermarkStrategy.<KafkaVote>forBoundedOutOfOrderness(Race.GRACE)
            .withTimestampAssigner((vote, kafkaTime) -> vote.timestamp);
    var firsts =
        env.fromSource(votes(), watermarks, "votes")
            .map(new ReadOffsets())
            .map(new Lateness())
            .keyBy(vote -> vote.voteAccount)
            .process(new Dedup());
    firsts
        .keyBy(vote -> vote.validator)
        .window(TumblingEventTimeWindows.of(Race.WINDOW))
        .aggregate(new Summarise(), new ToJson())
        .sinkTo(rollups());

    JobClient job = env.executeAsync("votes");
    job.getJobExecutionResult()
        .exceptionally(
            error -> {
              Race.fail(error);
              return null;
            });
    Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(job)));
    Race.startProgress();
  }

  private static Configuration settings() {
    Configuration settings = new Configuration();
    settings.set(StateBackendOptions.STATE_BACKEND, "hashmap");
    settings.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
    settings.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, stateFolder("checkpoints"));
    settings.set(RestartStrategyOptions.RESTART_STRATEGY, "none");
    settings.set(
        PipelineOptions.SERIALIZATION_CONFIG,
        List.of("Summary: {type: kryo, kryo-type: registered, class: SummaryKryo}"));
    return settings;
  }

  /** Fetch sizes above the defaults, as the other entrants have them. */
  private static KafkaSource<KafkaVote> votes() {
    return KafkaSource.<KafkaVote>builder()
        .setBootstrapServers(Race.BROKERS)
        .setTopics(Race.VOTES)
        .setGroupId(Race.GROUP)
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setDeserializer(new Decode())
        .setProperty(KafkaSourceOptions.COMMIT_OFFSETS_ON_CHECKPOINT.key(), "false")
        .setProperty(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, "5000")
        .setProperty(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, "" + 2 * 1024 * 1024)
        .setProperty(ConsumerConfig.FETCH_MAX_BYTES_CONFIG, "" + 16 * 1024 * 1024)
        .build();
  }

  private static KafkaSink<Tuple2<String, byte[]>> rollups() {
    return KafkaSink.<Tuple2<String, byte[]>>builder()
        .setBootstrapServers(Race.BROKERS)
        .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .setTransactionalIdPrefix(Race.GROUP)
        .setRecordSerializer(new Encode())
        .setProperty(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG, "60000")
        .setProperty(ProducerConfig.BATCH_SIZE_CONFIG, "" + 256 * 1024)
        .setProperty(ProducerConfig.LINGER_MS_CONFIG, "50")
        .build();
  }

  /** A last savepoint commits what is processed; open windows stay open. */
  private static void stop(JobClient job) {
    try {
      job.stopWithSavepoint(false, stateFolder("savepoint"), SavepointFormatType.NATIVE)
          .get(10, TimeUnit.SECONDS);
    } catch (Exception error) {
      error.printStackTrace();
    }
  }

  private static String stateFolder(String name) {
    return Path.of(Race.STATE_FOLDER, name).toUri().toString();
  }

  private static final class Decode implements KafkaRecordDeserializationSchema<KafkaVote> {
    private transient KafkaVote vote;

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<KafkaVote> out)
        throws IOException {
      if (vote == null) vote = new KafkaVote();
      VoteParser.parse(record.value(), vote);
      vote.partition = record.partition();
      vote.offset = record.offset();
      out.collect(vote);
    }

    @Override
    public TypeInformation<KafkaVote> getProducedType() {
      return Types.POJO(KafkaVote.class);
    }
  }

  private static final class Encode implements KafkaRecordSerializationSchema<Tuple2<String, byte[]>> {
    @Override
    public ProducerRecord<byte[], byte[]> serialize(
        Tuple2<String, byte[]> rollup, KafkaSinkContext context, Long timestamp) {
      byte[] key = rollup.f0.getBytes(StandardCharsets.UTF_8);
      return new ProducerRecord<>(Race.OUT, null, timestamp, key, rollup.f1);
    }
  }

  private static final class Summarise implements AggregateFunction<KafkaVote, Summary, Summary> {
    @Override
    public Summary createAccumulator() {
      return new Summary();
    }

    @Override
    public Summary add(KafkaVote vote, Summary summary) {
      return summary.add(vote.latencySlots());
    }

    @Override
    public Summary getResult(Summary summary) {
      return summary;
    }

    /** Only windows that grow together are merged. */
    @Override
    public Summary merge(Summary one, Summary other) {
      throw new UnsupportedOperationException("tumbling windows are not merged");
    }
  }

  private static final class ToJson
      extends ProcessWindowFunction<Summary, Tuple2<String, byte[]>, String, TimeWindow> {
    @Override
    public void process(
        String validator,
        Context context,
        Iterable<Summary> summaries,
        Collector<Tuple2<String, byte[]>> out)
        throws IOException {
      TimeWindow window = context.window();
      Summary summary = summaries.iterator().next();
      out.collect(
          Tuple2.of(validator, summary.toJson(validator, window.getStart(), window.getEnd())));
    }
  }
}
