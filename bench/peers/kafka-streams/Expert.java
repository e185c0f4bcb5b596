import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/**
 * The vote rollup as an expert writes it: one processor, Jackson's streaming parser, and plain objects that are
 * written to a changelog only when a commit is due (VoteState).
 */
public final class Expert {
  public static void main(String[] arguments) {
    Topology topology = new Topology();
    topology.addSource(
        "votes", new ByteArrayDeserializer(), new ByteArrayDeserializer(), Race.VOTES);
    topology.addProcessor("rollup", Rollup::new, "votes");
    topology.addStateStore(new VoteState.Builder(), "rollup");
    topology.addSink("out", Race.OUT, new StringSerializer(), new ByteArraySerializer(), "rollup");
    Streams.run(topology);
  }

  private static final class Rollup implements Processor<byte[], byte[], String, byte[]> {
    private final Vote vote = new Vote();
    private ProcessorContext<String, byte[]> context;
    private VoteState state;

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
      this.context = context;
      state = context.getStateStore(VoteState.NAME);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      Race.countRecord();
      try {
        VoteParser.parse(record.value(), vote);
        state.add(vote);
        state.close(
            (validator, start, end, summary) ->
                context.forward(
                    new Record<>(validator, summary.toJson(validator, start, end), end)));
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }
}
