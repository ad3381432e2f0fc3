import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Folds a topic of the connector into a table. README.md says how to run it. */
public class Table {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

  private final HttpClient http = HttpClient.newHttpClient();
  private final Map<Integer, GenericDatumReader<GenericRecord>> readers = new HashMap<>(); // by schema id
  private final GenericData types = new GenericData();

  private Table() {
    // Without these, dates are numbers of days and times numbers of milliseconds.
    types.addLogicalTypeConversion(new TimeConversions.DateConversion());
    types.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion());
  }

  public static void main(String[] args) throws Exception {
    List<String> words = new ArrayList<>(List.of(args));
    boolean untilEnd = words.remove("--until-end");
    if (words.size() != 1) {
      System.err.println("usage: Table TOPIC [--until-end]");
      System.exit(2);
    }
    new Table().run(words.get(0), untilEnd);
  }

  private void run(String topic, boolean untilEnd) throws Exception {
    Map<String, Object> config = Map.of(
        "bootstrap.servers", env("KAFKA_BROKERS", "localhost:9092"),
        "isolation.level", "read_committed", // Java's default is read_uncommitted
        "auto.offset.reset", "earliest",
        "enable.auto.commit", false);
    try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
          .map(p -> new TopicPartition(topic, p.partition())).toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      Map<String, Object> table = new TreeMap<>();
      // A partition ends with a transaction's marker: the position moves past it,
      // the records do not show it.
      while (!untilEnd || partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
        for (var record : consumer.poll(Duration.ofSeconds(1))) {
          Object after = null; // a tombstone: delete, perhaps for the second time
          if (record.value() != null) {
            GenericRecord event = decode(record.value());
            if (!event.get("op").toString().equals("d")) {
              after = plain(event.get("after"));
            }
          }
          if (after == null) {
            table.remove(record.key());
          } else {
            table.put(record.key(), after);
          }
          if (!untilEnd) {
            show(record.key(), after);
          }
        }
      }
      for (var row : table.entrySet()) {
        show(row.getKey(), row.getValue());
      }
    }
  }

  /** Decodes an event with the schema that it was written with. */
  private GenericRecord decode(byte[] value) throws IOException, InterruptedException {
    ByteBuffer header = ByteBuffer.wrap(value);
    if (header.get() != 0) {
      throw new IOException("not Confluent's wire format");
    }
    int id = header.getInt();
    if (!readers.containsKey(id)) {
      String registry = env("SCHEMA_REGISTRY_URL", "http://localhost:8081/apis/ccompat/v7");
      HttpResponse<String> answer = http.send(
          HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).build(), HttpResponse.BodyHandlers.ofString());
      if (answer.statusCode() != 200) {
        throw new IOException("schema " + id + ": " + answer.body());
      }
      Schema schema = new Schema.Parser().parse(JSON.readTree(answer.body()).get("schema").asText());
      readers.put(id, new GenericDatumReader<>(schema, schema, types));
    }
    return readers.get(id).read(null, DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null));
  }

  /** What JSON can hold: dates and times as text (ISO 8601, in UTC). */
  private static Object plain(Object value) {
    if (value instanceof GenericRecord record) {
      Map<String, Object> object = new LinkedHashMap<>();
      record.getSchema().getFields().forEach(f -> object.put(f.name(), plain(record.get(f.pos()))));
      return object;
    }
    if (value instanceof Collection<?> items) {
      return items.stream().map(Table::plain).toList();
    }
    if (value instanceof Instant at) {
      return TIME.format(at);
    }
    return value == null || value instanceof Number || value instanceof Boolean ? value : value.toString();
  }

  private static void show(String key, Object after) throws IOException {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("key", key);
    line.put("after", after);
    System.out.println(JSON.writeValueAsString(line));
  }

  private static String env(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }
}
