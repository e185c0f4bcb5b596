/** A vote with what its partition says of it; public and mutable, so that Flink serialises it as a POJO. */
public final class KafkaVote extends Vote {
  public int partition;
  /** Its window was over on its own partition when it came. */
  public boolean isLate;
}
