import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Per vote account: passes the first vote for each slot on, unless it is late, and forgets it two stretches later.
 */
final class Dedup extends KeyedProcessFunction<String, KafkaVote, KafkaVote> {
  private static final long WITHIN_MS = Race.REPETITION.toMillis();
  /** Event time of the first vote, by voted slot. */
  private transient MapState<Long, Long> firsts;

  @Override
  public void open(OpenContext context) {
    firsts =
        getRuntimeContext()
            .getMapState(new MapStateDescriptor<>("firsts", Long.class, Long.class));
  }

  @Override
  public void processElement(KafkaVote vote, Context context, Collector<KafkaVote> out)
      throws Exception {
    Race.countRecord();
    Long first = firsts.get(vote.votedSlot);
    if (first != null && Math.abs(vote.timestamp - first) <= WITHIN_MS) return;
    if (first == null && firsts.isEmpty()) forgetAfter(vote.timestamp, context);
    firsts.put(vote.votedSlot, vote.timestamp);
    if (!vote.isLate) out.collect(vote);
  }

  @Override
  public void onTimer(long timestamp, OnTimerContext context, Collector<KafkaVote> out)
      throws Exception {
    var each = firsts.iterator();
    while (each.hasNext()) {
      if (each.next().getValue() < timestamp - 2 * WITHIN_MS) each.remove();
    }
    if (!firsts.isEmpty()) forgetAfter(timestamp, context);
  }

  /** One timer per account and stretch; one per vote would cost more than the vote. */
  private static void forgetAfter(long timestamp, Context context) {
    context.timerService().registerEventTimeTimer(timestamp + WITHIN_MS);
  }
}
