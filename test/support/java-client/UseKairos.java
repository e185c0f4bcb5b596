/*
 * A program as users of the KairosDB client library write it: pushes, asks, lists and deletes, and prints what it
 * got, one line each. Run as a source file: java -cp 'lib/*' UseKairos.java URL NAME
 */

import java.util.ArrayList;
import java.util.Collections;
import java.util.Date;
import java.util.List;
import java.util.TimeZone;
import java.util.TreeMap;
import org.kairosdb.client.HttpClient;
import org.kairosdb.client.builder.AggregatorFactory;
import org.kairosdb.client.builder.DataPoint;
import org.kairosdb.client.builder.MetricBuilder;
import org.kairosdb.client.builder.QueryBuilder;
import org.kairosdb.client.builder.QueryMetric;
import org.kairosdb.client.builder.QueryTagBuilder;
import org.kairosdb.client.builder.RelativeTime;
import org.kairosdb.client.builder.RollupBuilder;
import org.kairosdb.client.builder.RollupTask;
import org.kairosdb.client.builder.TimeUnit;
import org.kairosdb.client.builder.grouper.BinGrouper;
import org.kairosdb.client.builder.grouper.TagGrouper;
import org.kairosdb.client.builder.grouper.TimeGrouper;
import org.kairosdb.client.builder.grouper.ValueGrouper;
import org.kairosdb.client.response.GroupResult;
import org.kairosdb.client.response.QueryResponse;
import org.kairosdb.client.response.QueryResult;
import org.kairosdb.client.response.Result;
import org.kairosdb.client.response.UnexpectedResponseException;

public class UseKairos {
  static final long START = 1_700_000_000_000L;

  public static void main(String[] arguments) throws Exception {
    String name = arguments[1];
    try (HttpClient client = new HttpClient(arguments[0])) {
      say("version", client.getVersion().trim());
      say("status", client.getStatus());
      say("check", client.getStatusCheck());

      for (boolean packed : new boolean[] {false, true}) {
        MetricBuilder points = MetricBuilder.getInstance();
        points.setCompression(packed);
        for (String host : List.of("a", "b")) {
          var metric = points.addMetric(name + ".numbers").addTag("host", host).addTag("packed", "" + packed);
          for (int i = 0; i < 20; i++) {
            long time = START + i * 60_000 + host.charAt(0);
            if (i % 2 == 0) metric.addDataPoint(time, (long) i);
            else metric.addDataPoint(time, i + 0.25);
          }
        }
        points.addMetric(name + ".words", "string").addTag("host", "a").addDataPoint(START, (Object) "w é");
        client.pushMetrics(points);
      }
      // The Java server stores what it has taken a moment later.
      for (int i = 0; i < 100 && !ask(client, metric(name + ".words")).contains("w é"); i++) Thread.sleep(100);
      for (int i = 0; i < 100 && !ask(client, metric(name + ".numbers")).startsWith("80"); i++) Thread.sleep(100);

      say("numbers", ask(client, metric(name + ".numbers")));
      say("words", ask(client, metric(name + ".words")));
      QueryMetric limited = metric(name + ".numbers").addTag("host", "a");
      limited.setLimit(3);
      limited.setOrder(QueryMetric.Order.DESCENDING);
      say("limited", ask(client, limited));
      QueryMetric many = metric(name + ".numbers");
      many.addGrouper(new TagGrouper("host", "packed"));
      for (var aggregator : List.of(
          AggregatorFactory.createSumAggregator(10, TimeUnit.MINUTES),
          AggregatorFactory.createPercentileAggregator(0.75, 1, TimeUnit.HOURS))) {
        many.addAggregator(aggregator);
      }
      say("tags", ask(client, many));
      for (var aggregator : List.of(
          AggregatorFactory.createMinAggregator(5, TimeUnit.MINUTES),
          AggregatorFactory.createMaxAggregator(5, TimeUnit.MINUTES),
          AggregatorFactory.createAverageAggregator(5, TimeUnit.MINUTES),
          AggregatorFactory.createStandardDeviationAggregator(5, TimeUnit.MINUTES),
          AggregatorFactory.createCountAggregator(5, TimeUnit.MINUTES),
          AggregatorFactory.createFirstAggregator(5, TimeUnit.MINUTES),
          AggregatorFactory.createLastAggregator(5, TimeUnit.MINUTES),
          AggregatorFactory.createDiffAggregator(),
          AggregatorFactory.createDivAggregator(4),
          AggregatorFactory.createScaleAggregator(2.5))) {
        say(aggregator.getName(), ask(client, metric(name + ".numbers").addTag("host", "a").addAggregator(aggregator)));
      }
      say("rate", ask(client, metric(name + ".numbers").addTag("host", "b").addTag("packed", "true")
          .addAggregator(AggregatorFactory.createRateAggregator(TimeUnit.MINUTES))));
      for (var grouper : List.of(
          new ValueGrouper(5),
          new BinGrouper(List.of(3.0, 9.5)),
          new TimeGrouper(new RelativeTime(5, TimeUnit.MINUTES), 3))) {
        QueryMetric grouped = metric(name + ".numbers").addTag("host", "b");
        grouped.addGrouper(grouper);
        say(grouper.getName(), ask(client, grouped));
      }

      QueryTagBuilder tags = QueryTagBuilder.getInstance();
      tags.setStart(new Date(START - 1)).setEnd(new Date(START + 3_600_000));
      tags.addMetric(name + ".numbers").addTag("host", "a");
      say("query tags", new TreeMap<>(client.queryTags(tags).getQueries().get(0).getResults().get(0).getTags()));
      say("names", names(client, name));

      RollupBuilder rollups = RollupBuilder.getInstance(name, new RelativeTime(1, TimeUnit.DAYS));
      var query = rollups.addRollup(name + ".rolled").addQuery();
      query.setStart(1, TimeUnit.HOURS);
      query.addMetric(name + ".nothing").addAggregator(AggregatorFactory.createSumAggregator(1, TimeUnit.HOURS));
      RollupTask task = client.createRollupTask(rollups);
      say("rollup", task.getName() + " " + client.getRollupTask(task.getId()).getRollups().get(0).getSaveAs());
      client.deleteRollupTask(task.getId());
      try {
        say("no rollup", client.getRollupTask(task.getId()));
      } catch (UnexpectedResponseException refused) {
        say("no rollup", refused.getStatusCode());
      }

      QueryBuilder some = QueryBuilder.getInstance();
      some.setStart(new Date(START)).setEnd(new Date(START + 10 * 60_000));
      some.addMetric(name + ".numbers").addTag("host", "a");
      client.delete(some);
      Thread.sleep(1_000);
      say("left", ask(client, metric(name + ".numbers").addAggregator(AggregatorFactory.createCountAggregator(1, TimeUnit.YEARS))));
      client.deleteMetric(name + ".numbers");
      client.deleteMetric(name + ".words");
      Thread.sleep(1_000);
      say("gone", names(client, name));
      try {
        client.query(QueryBuilder.getInstance().setStart(new Date(5)).setEnd(new Date(9)));
        say("refused", "no");
      } catch (RuntimeException refused) {
        say("refused", refused.getClass().getSimpleName());
      }
    }
  }

  static QueryMetric metric(String name) {
    return new QueryMetric(name);
  }

  static List<String> names(HttpClient client, String name) {
    List<String> own = new ArrayList<>();
    for (Object each : (Iterable<?>) client.getMetricNames()) {
      if (each.toString().startsWith(name)) own.add(each.toString());
    }
    Collections.sort(own);
    return own;
  }

  static String ask(HttpClient client, QueryMetric metric) {
    QueryBuilder query = QueryBuilder.getInstance();
    query.setStart(new Date(START - 3_600_000)).setEnd(new Date(START + 3_600_000));
    query.setTimeZone(TimeZone.getTimeZone("UTC"));
    query.addMetric(metric);
    QueryResponse response = client.query(query);
    StringBuilder text = new StringBuilder();
    for (QueryResult each : response.getQueries()) {
      text.append(each.getSampleSize());
      for (Result result : each.getResults()) {
        text.append(" | ").append(new TreeMap<String, Object>(result.getTags()));
        for (GroupResult group : result.getGroupResults()) text.append(' ').append(plain(group));
        for (DataPoint point : result.getDataPoints()) {
          text.append(' ').append(point.getTimestamp() - START).append('=').append(point.getValue());
        }
      }
    }
    return text.toString();
  }

  /** Without the moment at which the library made it. */
  static String plain(GroupResult group) {
    return group.toString().replaceAll("calendar=.*?\\]\\], ", "").replaceAll("@\\w+", "");
  }

  static void say(String what, Object value) {
    System.out.println(what + ": " + value);
  }
}
