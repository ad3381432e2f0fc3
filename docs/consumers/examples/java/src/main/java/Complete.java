import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads a topic of the connector, and says up to which time what it has read is complete.
 * README.md says how to run it.
 */
public class Complete {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] args) throws Exception {
    List<String> words = new ArrayList<>(List.of(args));
    // What is verified has deletes and calculated properties too.
    String says = words.remove("--verified") ? "verified" : "complete";
    Instant until = Instant.MAX;
    int option = words.indexOf("--until");
    if (option >= 0 && option + 1 < words.size()) {
      words.remove(option);
      until = Instant.parse(words.remove(option));
    }
    if (words.size() != 1) {
      System.err.println("usage: Complete TOPIC [--verified] [--until TIME]");
      System.exit(2);
    }
    run(words.get(0), says, until);
  }

  private static void run(String topic, String says, Instant until) throws Exception {
    Map<String, Object> config = Map.of(
        "bootstrap.servers", System.getenv().getOrDefault("KAFKA_BROKERS", "localhost:9092"),
        "isolation.level", "read_committed", // Java's default is read_uncommitted
        "auto.offset.reset", "earliest",
        "enable.auto.commit", false);
    try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new ByteArrayDeserializer())) {
      String frontiers = frontiersOf(topic, consumer.listTopics().keySet());
      List<TopicPartition> partitions = new ArrayList<>();
      for (String name : List.of(topic, frontiers)) {
        consumer.partitionsFor(name).forEach(p -> partitions.add(new TopicPartition(name, p.partition())));
      }
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      // Nothing is claimed before all frontiers of now are read: the first of them may be
      // about a topic of this name that was deleted.
      var ends = consumer.endOffsets(partitions.stream().filter(p -> p.topic().equals(frontiers)).toList());
      boolean read = false;
      Deque<JsonNode> ahead = new ArrayDeque<>(); // frontiers of this topic that are not reached yet
      JsonNode latest = JSON.createObjectNode(); // the offsets of the latest one
      Instant complete = Instant.MIN;
      while (complete.isBefore(until)) {
        for (var record : consumer.poll(Duration.ofSeconds(1))) {
          if (record.topic().equals(topic)) {
            continue; // a consumer does its work here: see Table
          }
          if (!JSON.readTree(record.key()).get("topic").asText().equals(topic)) {
            continue;
          }
          // One that is forgotten, a tombstone, claims nothing from the beginning on.
          JsonNode frontier = record.value() == null ? JSON.createObjectNode() : JSON.readTree(record.value());
          if (beganAgain(latest, frontier.path("offsets"))) {
            if (read) {
              throw new IllegalStateException(topic + " began again: read it from its beginning");
            }
            ahead.clear(); // they are about the old topic
          }
          latest = frontier.path("offsets");
          ahead.add(frontier);
        }
        read = read || ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
        Instant before = complete;
        while (read && !ahead.isEmpty() && reached(consumer, topic, ahead.peek().path("offsets"))) {
          JsonNode at = ahead.remove().path(says); // null: nothing is claimed
          complete = !at.isTextual() ? complete : Instant.parse(at.asText());
        }
        if (complete.isAfter(before)) {
          System.out.println(topic + ": complete as of " + complete);
        }
      }
    }
  }

  /**
   * Names the topic of the frontiers of a topic. It stands behind the prefix of the connector's
   * topics, which may have dots: the longest one that has such a topic.
   */
  private static String frontiersOf(String topic, Set<String> topics) {
    for (int at = topic.lastIndexOf('.'); at >= 0; at = topic.lastIndexOf('.', at - 1)) {
      String frontiers = topic.substring(0, at) + ".frontiers";
      if (topics.contains(frontiers)) {
        return frontiers;
      }
    }
    throw new IllegalStateException("there are no frontiers beside the topic " + topic);
  }

  /** Reports whether the positions in a topic are at or past those of a frontier. */
  private static boolean reached(KafkaConsumer<?, ?> consumer, String topic, JsonNode offsets) {
    for (var names = offsets.fieldNames(); names.hasNext(); ) {
      String partition = names.next();
      if (consumer.position(new TopicPartition(topic, Integer.parseInt(partition))) < offsets.get(partition).asLong()) {
        return false;
      }
    }
    return true;
  }

  /** Reports whether the topic began again between two frontiers. */
  private static boolean beganAgain(JsonNode before, JsonNode offsets) {
    for (var names = before.fieldNames(); names.hasNext(); ) {
      String partition = names.next();
      if (offsets.path(partition).asLong() < before.get(partition).asLong()) {
        return true;
      }
    }
    return false;
  }
}
