import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What all Java entrants share: the race's rules, where to read and write, and a progress line every 25 ms for
 * bench/support/consumer-run.ts.
 */
public final class Race {
  public static final Duration WINDOW = Duration.ofMinutes(5);
  public static final Duration GRACE = Duration.ofSeconds(30);
  /** A repetition is one only if its event time is at most this far from the first. */
  public static final Duration REPETITION = Duration.ofMinutes(10);

  public static final String BROKERS = System.getenv("KAFKA_BROKERS");
  public static final String VOTES = System.getenv("BENCH_TOPIC");
  public static final String OUT = System.getenv("BENCH_OUT");
  public static final String GROUP = System.getenv("BENCH_GROUP");
  public static final String STATE_FOLDER = System.getenv("BENCH_STATE");
  public static final Duration COMMIT_EVERY =
      Duration.ofMillis(Long.parseLong(System.getenv("BENCH_EPOCH_MS")));

  private static final AtomicLong records = new AtomicLong();

  /** Called by the one thread that processes, which is the only writer. */
  public static void countRecord() {
    records.lazySet(records.getPlain() + 1);
  }

  public static void startProgress() {
    Thread progress = new Thread(Race::reportProgress);
    progress.setDaemon(true);
    progress.start();
  }

  /** Ends the entrant at once, so that the bench sees that it has failed. */
  public static void fail(Throwable error) {
    error.printStackTrace();
    Runtime.getRuntime().halt(1);
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
      fail(error);
    }
  }

  /** The second figure of /proc/self/statm is in pages of 4 KiB. */
  private static long rssMiB() throws IOException {
    return Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]) / 256;
  }
}
