import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;

/** Jackson's streaming parser on a vote: without data binding, and only what the rollup needs. */
public final class VoteParser {
  private static final JsonFactory JSON = new JsonFactory();

  public static void parse(byte[] json, Vote into) throws IOException {
    try (JsonParser parser = JSON.createParser(json)) {
      parser.nextToken();
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String field = parser.currentName();
        parser.nextToken();
        switch (field) {
          case "validator" -> into.validator = parser.getText();
          case "voteAccount" -> into.voteAccount = parser.getText();
          case "votedSlot" -> into.votedSlot = parser.getLongValue();
          case "landedSlot" -> into.landedSlot = parser.getLongValue();
          case "timestamp" -> into.timestamp = parser.getLongValue();
          default -> parser.skipChildren();
        }
      }
    }
  }
}
