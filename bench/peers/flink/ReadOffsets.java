import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/**
 * Commits offsets to the group when their checkpoint is complete, only for the bench to see. Flink's source does so
 * from a thread that first waits for records, ten seconds at the end of a topic, which would count against it.
 */
final class ReadOffsets extends RichMapFunction<KafkaVote, KafkaVote>
    implements CheckpointedFunction, CheckpointListener {
  /** Offset of the vote after the last one, by partition. */
  private final Map<Integer, long[]> next = new HashMap<>();
  private final TreeMap<Long, Map<TopicPartition, OffsetAndMetadata>> pending = new TreeMap<>();
  private transient Admin admin;

  @Override
  public void open(OpenContext context) {
    admin = Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, Race.BROKERS));
  }

  @Override
  public KafkaVote map(KafkaVote vote) {
    next.computeIfAbsent(vote.partition, none -> new long[1])[0] = vote.offset + 1;
    return vote;
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) {
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    next.forEach(
        (partition, offset) ->
            offsets.put(
                new TopicPartition(Race.VOTES, partition), new OffsetAndMetadata(offset[0])));
    pending.put(context.getCheckpointId(), offsets);
  }

  @Override
  public void notifyCheckpointComplete(long checkpointId) {
    var offsets = pending.get(checkpointId);
    if (offsets != null && !offsets.isEmpty()) {
      admin.alterConsumerGroupOffsets(Race.GROUP, offsets);
    }
    pending.headMap(checkpointId, true).clear();
  }

  @Override
  public void initializeState(FunctionInitializationContext context) {}

  @Override
  public void close() {
    if (admin != null) admin.close();
  }
}
