import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;

/** A window's summary in checkpoints, and its copy when a checkpoint still writes the one before. */
public final class SummaryKryo extends Serializer<Summary> {
  @Override
  public void write(Kryo kryo, Output output, Summary summary) {
    byte[] bytes = summary.toBytes();
    output.writeInt(bytes.length);
    output.writeBytes(bytes);
  }

  @Override
  public Summary read(Kryo kryo, Input input, Class<? extends Summary> type) {
    return Summary.fromBytes(input.readBytes(input.readInt()));
  }

  @Override
  public Summary copy(Kryo kryo, Summary summary) {
    return Summary.fromBytes(summary.toBytes());
  }
}
