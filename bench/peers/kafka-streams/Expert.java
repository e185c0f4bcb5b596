import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
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
  private static final JsonFactory JSON = new JsonFactory();

  public static void main(String[] arguments) {
    Topology topology = new Topology();
    topology.addSource(
        "votes", new ByteArrayDeserializer(), new ByteArrayDeserializer(), Race.VOTES);
    topology.addProcessor("rollup", Rollup::new, "votes");
    topology.addStateStore(new VoteState.Builder(), "rollup");
    topology.addSink("out", Race.OUT, new StringSerializer(), new ByteArraySerializer(), "rollup");
    Race.run(topology);
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
        parse(record.value());
        state.add(vote);
        state.close(
            (validator, start, end, summary) ->
                context.forward(
                    new Record<>(validator, summary.toJson(validator, start, end), end)));
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }

    private void parse(byte[] value) throws IOException {
      try (JsonParser parser = JSON.createParser(value)) {
        parser.nextToken();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
          String field = parser.currentName();
          parser.nextToken();
          switch (field) {
            case "validator" -> vote.validator = parser.getText();
            case "voteAccount" -> vote.voteAccount = parser.getText();
            case "votedSlot" -> vote.votedSlot = parser.getLongValue();
            case "landedSlot" -> vote.landedSlot = parser.getLongValue();
            case "timestamp" -> vote.timestamp = parser.getLongValue();
            default -> parser.skipChildren();
          }
        }
      }
    }
  }
}
