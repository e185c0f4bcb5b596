/** A vote with where it came from; public and mutable, so that Flink serialises it as a POJO. */
public final class KafkaVote extends Vote {
  public int partition;
  public long offset;
  /** Its window was over on its own partition when it came. */
  public boolean isLate;
}
