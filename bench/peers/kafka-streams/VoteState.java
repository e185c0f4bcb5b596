import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.StateStoreContext;
import org.apache.kafka.streams.processor.internals.InternalProcessorContext;
import org.apache.kafka.streams.query.Position;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.internals.CacheFlushListener;
import org.apache.kafka.streams.state.internals.CachedStateStore;

/**
 * Open windows and seen identities of one partition as plain objects. What changed goes to the changelog when
 * Kafka Streams flushes caches, which it does in each commit's transaction; a new owner restores from there.
 * Keys of the changelog: `w START VALIDATOR` a window, `s BUCKET NUMBER` a block of identities, `m` the watermark.
 */
final class VoteState implements StateStore, CachedStateStore<Bytes, byte[]> {
  static final String NAME = "votes";
  private static final long SIZE_MS = Race.WINDOW.toMillis();
  private static final long GRACE_MS = Race.GRACE.toMillis();
  private static final long WITHIN_MS = Race.REPETITION.toMillis();

  /** A quarter of what a producer takes in one record by default. */
  private static final int BLOCK_BYTES = 256 * 1024;

  interface Closed {
    void window(String validator, long start, long end, Summary summary) throws IOException;
  }

  private record Identity(String account, long slot) {}

  private static final class Window {
    final Summary summary;
    boolean isChanged;
    boolean isLogged;

    Window(Summary summary, boolean isLogged) {
      this.summary = summary;
      this.isLogged = isLogged;
    }
  }

  /** First event times of identities whose event time is in one stretch of WITHIN_MS. */
  private static final class Bucket {
    final Map<Identity, Long> firsts = new HashMap<>();
    final Map<Identity, Long> unlogged = new HashMap<>();
    int blocks;
  }

  private final TreeMap<Long, Map<String, Window>> windows = new TreeMap<>();
  private final TreeMap<Long, Bucket> buckets = new TreeMap<>();
  /** Each vote account's one String, so that identities don't keep one each. */
  private final Map<String, String> accounts = new HashMap<>();
  private long watermark = Long.MIN_VALUE;
  private long loggedWatermark = Long.MIN_VALUE;
  private InternalProcessorContext<?, ?> context;
  private boolean isOpen;

  /** A repetition is judged before lateness, and the first wins. */
  void add(Vote vote) {
    watermark = Math.max(watermark, vote.timestamp);
    if (!isFirst(identity(vote.voteAccount, vote.votedSlot), vote.timestamp)) return;
    long start = Math.floorDiv(vote.timestamp, SIZE_MS) * SIZE_MS;
    if (start + SIZE_MS + GRACE_MS <= watermark) return;
    Window window =
        windows
            .computeIfAbsent(start, at -> new HashMap<>())
            .computeIfAbsent(vote.validator, at -> new Window(new Summary(), false));
    window.summary.add(vote.latencySlots());
    window.isChanged = true;
  }

  /** Hands out the windows that the watermark has passed, and forgets them. */
  void close(Closed each) throws IOException {
    while (!windows.isEmpty() && windows.firstKey() + SIZE_MS + GRACE_MS <= watermark) {
      long start = windows.firstKey();
      for (var entry : windows.pollFirstEntry().getValue().entrySet()) {
        each.window(entry.getKey(), start, start + SIZE_MS, entry.getValue().summary);
        if (entry.getValue().isLogged) log(windowKey(start, entry.getKey()), null);
      }
    }
  }

  private Identity identity(String account, long slot) {
    String known = accounts.putIfAbsent(account, account);
    return new Identity(known == null ? account : known, slot);
  }

  private boolean isFirst(Identity identity, long timestamp) {
    long at = Math.floorDiv(timestamp, WITHIN_MS);
    for (long bucket = at - 1; bucket <= at + 1; bucket++) {
      Bucket in = buckets.get(bucket);
      Long first = in == null ? null : in.firsts.get(identity);
      if (first != null && Math.abs(first - timestamp) <= WITHIN_MS) return false;
    }
    Bucket bucket = buckets.computeIfAbsent(at, none -> new Bucket());
    Long boxed = timestamp;
    bucket.firsts.put(identity, boxed);
    bucket.unlogged.put(identity, boxed);
    return true;
  }

  /** In each commit, before its transaction ends. */
  @Override
  public void flushCache() {
    if (watermark == Long.MIN_VALUE) return;
    forgetBuckets();
    for (var at : windows.entrySet()) {
      for (var entry : at.getValue().entrySet()) {
        Window window = entry.getValue();
        if (!window.isChanged) continue;
        log(windowKey(at.getKey(), entry.getKey()), window.summary.toBytes());
        window.isChanged = false;
        window.isLogged = true;
      }
    }
    for (var at : buckets.entrySet()) {
      Bucket bucket = at.getValue();
      if (bucket.unlogged.isEmpty()) continue;
      logBlocks(at.getKey(), bucket);
    }
    if (watermark != loggedWatermark) {
      log("m", Long.toString(watermark).getBytes(StandardCharsets.UTF_8));
    }
    loggedWatermark = watermark;
  }

  /** Twice the stretch behind the watermark a repetition is too late for any window. */
  private void forgetBuckets() {
    long before = Math.floorDiv(watermark, WITHIN_MS) - 2;
    while (!buckets.isEmpty() && buckets.firstKey() < before) {
      var gone = buckets.pollFirstEntry();
      for (int i = 0; i < gone.getValue().blocks; i++) log(blockKey(gone.getKey(), i), null);
    }
  }

  private void log(String key, byte[] value) {
    Bytes bytes = Bytes.wrap(key.getBytes(StandardCharsets.UTF_8));
    context.logChange(NAME, bytes, value, watermark, Position.emptyPosition());
  }

  private static String windowKey(long start, String validator) {
    return "w " + start + " " + validator;
  }

  private static String blockKey(long bucket, int number) {
    return "s " + bucket + " " + number;
  }

  private void logBlocks(long at, Bucket bucket) {
    var bytes = new ByteArrayOutputStream(BLOCK_BYTES + 256);
    var out = new DataOutputStream(bytes);
    try {
      for (var entry : bucket.unlogged.entrySet()) {
        out.writeUTF(entry.getKey().account());
        out.writeLong(entry.getKey().slot());
        out.writeLong(entry.getValue());
        if (bytes.size() < BLOCK_BYTES) continue;
        log(blockKey(at, bucket.blocks++), bytes.toByteArray());
        bytes.reset();
      }
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    if (bytes.size() > 0) log(blockKey(at, bucket.blocks++), bytes.toByteArray());
    bucket.unlogged.clear();
  }

  private void restore(byte[] keyBytes, byte[] value) {
    String[] key = new String(keyBytes, StandardCharsets.UTF_8).split(" ");
    if (key[0].equals("m")) {
      watermark = Long.parseLong(new String(value, StandardCharsets.UTF_8));
      loggedWatermark = watermark;
      return;
    }
    long at = Long.parseLong(key[1]);
    if (key[0].equals("w")) {
      Map<String, Window> validators = windows.computeIfAbsent(at, none -> new HashMap<>());
      if (value == null) validators.remove(key[2]);
      else validators.put(key[2], new Window(Summary.fromBytes(value), true));
      if (validators.isEmpty()) windows.remove(at);
    } else if (value == null) {
      buckets.remove(at);
    } else {
      Bucket bucket = buckets.computeIfAbsent(at, none -> new Bucket());
      bucket.blocks = Math.max(bucket.blocks, Integer.parseInt(key[2]) + 1);
      try (var in = new DataInputStream(new ByteArrayInputStream(value))) {
        while (in.available() > 0) {
          bucket.firsts.put(identity(in.readUTF(), in.readLong()), in.readLong());
        }
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }

  @Override
  public void init(StateStoreContext context, StateStore root) {
    this.context = (InternalProcessorContext<?, ?>) context;
    context.register(root, this::restore);
    isOpen = true;
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public void flush() {}

  @Override
  public void close() {
    isOpen = false;
  }

  @Override
  public boolean persistent() {
    return false;
  }

  @Override
  public boolean isOpen() {
    return isOpen;
  }

  @Override
  public boolean setFlushListener(CacheFlushListener<Bytes, byte[]> listener, boolean sendOld) {
    return false;
  }

  @Override
  public void clearCache() {
    windows.clear();
    buckets.clear();
  }

  static final class Builder implements StoreBuilder<VoteState> {
    @Override
    public VoteState build() {
      return new VoteState();
    }

    @Override
    public String name() {
      return NAME;
    }

    @Override
    public boolean loggingEnabled() {
      return true;
    }

    @Override
    public Map<String, String> logConfig() {
      return Map.of();
    }

    @Override
    public StoreBuilder<VoteState> withCachingEnabled() {
      return this;
    }

    @Override
    public StoreBuilder<VoteState> withCachingDisabled() {
      return this;
    }

    @Override
    public StoreBuilder<VoteState> withLoggingEnabled(Map<String, String> config) {
      return this;
    }

    @Override
    public StoreBuilder<VoteState> withLoggingDisabled() {
      throw new UnsupportedOperationException("exactly once needs the changelog");
    }
  }
}
