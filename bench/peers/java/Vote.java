/** A vote of the contract, as Jackson fills it. */
public class Vote {
  public String validator;
  public String voteAccount;
  public String network;
  public long votedSlot;
  public long landedSlot;
  /** Event time, ms since the epoch. */
  public long timestamp;

  public int latencySlots() {
    return (int) (landedSlot - votedSlot);
  }
}
