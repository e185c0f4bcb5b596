import com.fasterxml.jackson.databind.ObjectMapper;
import com.tdunning.math.stats.MergingDigest;
import com.tdunning.math.stats.TDigest;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/** What a window keeps of its votes: 24 bytes of figures, then a t-digest of compression 100. */
public final class Summary {
  private static final int FIGURES_BYTES = 24;
  private static final ObjectMapper JSON = new ObjectMapper();

  private long count;
  private long sum;
  private int min = Integer.MAX_VALUE;
  private int max = Integer.MIN_VALUE;
  private TDigest digest = TDigest.createMergingDigest(100);

  public Summary add(int latencySlots) {
    count++;
    sum += latencySlots;
    min = Math.min(min, latencySlots);
    max = Math.max(max, latencySlots);
    digest.add(latencySlots);
    return this;
  }

  /** Synchronized because Flink copies a summary while its checkpoint writes it, and both compress it. */
  public synchronized byte[] toBytes() {
    digest.compress();
    ByteBuffer bytes = ByteBuffer.allocate(FIGURES_BYTES + digest.smallByteSize());
    bytes.putLong(count).putLong(sum).putInt(min).putInt(max);
    digest.asSmallBytes(bytes);
    return bytes.array();
  }

  public static Summary fromBytes(byte[] from) {
    ByteBuffer bytes = ByteBuffer.wrap(from);
    Summary summary = new Summary();
    summary.count = bytes.getLong();
    summary.sum = bytes.getLong();
    summary.min = bytes.getInt();
    summary.max = bytes.getInt();
    summary.digest = MergingDigest.fromBytes(bytes);
    return summary;
  }

  /** The rollup of the race; its window is half-open, in ms. */
  public byte[] toJson(String validator, long start, long end) throws IOException {
    Map<String, Object> rollup = new LinkedHashMap<>();
    rollup.put("window", Map.of("start", start, "end", end));
    rollup.put("scope", "validator");
    rollup.put("id", validator);
    rollup.put("count", count);
    rollup.put("sum", sum);
    rollup.put("min", min);
    rollup.put("max", max);
    rollup.put("p50", digest.quantile(0.5));
    rollup.put("p95", digest.quantile(0.95));
    rollup.put("p99", digest.quantile(0.99));
    return JSON.writeValueAsBytes(rollup);
  }
}
