import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;

/**
 * Marks votes that are late. The race judges a vote by its own partition; Flink's watermark, which is the slowest
 * partition's and moves five times a second, would let some of them into their windows.
 */
final class Lateness extends RichMapFunction<KafkaVote, KafkaVote> implements CheckpointedFunction {
  private static final long SIZE_MS = Race.WINDOW.toMillis();
  private static final long GRACE_MS = Race.GRACE.toMillis();

  /** Newest event time of each partition. */
  private final Map<Integer, long[]> watermarks = new HashMap<>();
  private transient ListState<Tuple2<Integer, Long>> saved;

  @Override
  public KafkaVote map(KafkaVote vote) {
    long[] watermark =
        watermarks.computeIfAbsent(vote.partition, none -> new long[] {Long.MIN_VALUE});
    if (vote.timestamp > watermark[0]) watermark[0] = vote.timestamp;
    long end = (Math.floorDiv(vote.timestamp, SIZE_MS) + 1) * SIZE_MS;
    vote.isLate = end + GRACE_MS <= watermark[0];
    return vote;
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) throws Exception {
    saved.clear();
    for (var entry : watermarks.entrySet()) {
      saved.add(Tuple2.of(entry.getKey(), entry.getValue()[0]));
    }
  }

  /** Every subtask takes all, since a partition may come to any of them. */
  @Override
  public void initializeState(FunctionInitializationContext context) throws Exception {
    saved =
        context
            .getOperatorStateStore()
            .getUnionListState(
                new ListStateDescriptor<>("watermarks", new TypeHint<Tuple2<Integer, Long>>() {}.getTypeInfo()));
    for (var entry : saved.get()) watermarks.put(entry.f0, new long[] {entry.f1});
  }
}
