import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;

/**
 * What both versions share: where to read and write (BENCH_TOPIC, BENCH_OUT, BENCH_GROUP), the settings, and a
 * progress line every 25 ms for bench/support/consumer-run.ts. One thread, exactly once, a commit every 2 s.
 */
public final class Race {
  public static final Duration WINDOW = Duration.ofMinutes(5);
  public static final Duration GRACE = Duration.ofSeconds(30);
  /** A repetition is one only if its event time is at most this far from the first. */
  public static final Duration REPETITION = Duration.ofMinutes(10);
  public static final String VOTES = System.getenv("BENCH_TOPIC");
  public static final String OUT = System.getenv("BENCH_OUT");

  private static final AtomicLong records = new AtomicLong();

  /** Called by the one stream thread, which is the only writer. */
  public static void countRecord() {
    records.lazySet(records.getPlain() + 1);
  }

  public static void run(Topology topology) {
    KafkaStreams streams = new KafkaStreams(topology, settings());
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
          return null;
        });
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
    Thread progress = new Thread(Race::reportProgress);
    progress.setDaemon(true);
    progress.start();
    streams.start();
  }

  /** Fetch sizes and buffers above the defaults, so that the client is not what holds it back. */
  private static Properties settings() {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, System.getenv("BENCH_GROUP"));
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv("KAFKA_BROKERS"));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, System.getenv("BENCH_STATE"));
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, System.getenv("BENCH_EPOCH_MS"));
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64 * 1024 * 1024);
    settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 5_000);
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
    settings.put(
        StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG),
        2 * 1024 * 1024);
    settings.put(
        StreamsConfig.consumerPrefix(ConsumerConfig.FETCH_MAX_BYTES_CONFIG), 16 * 1024 * 1024);
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 * 1024);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 50);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG), 60_000);
    return settings;
  }

  private static void reportProgress() {
    var system =
        (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    try {
      while (true) {
        System.out.printf(
            "{\"at\":%d,\"records\":%d,\"rssMiB\":%d,\"cpuMs\":%d}%n",
            System.currentTimeMillis(), records.get(), rssMiB(), system.getProcessCpuTime() / 1_000_000);
        Thread.sleep(25);
      }
    } catch (InterruptedException | IOException error) {
      error.printStackTrace();
      Runtime.getRuntime().halt(1);
    }
  }

  /** The second figure of /proc/self/statm is in pages of 4 KiB. */
  private static long rssMiB() throws IOException {
    return Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]) / 256;
  }
}
