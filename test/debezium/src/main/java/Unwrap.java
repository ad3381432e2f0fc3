import io.apicurio.registry.utils.converter.avro.AvroData;
import io.debezium.transforms.ExtractNewRecordState;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.transforms.Flatten;

/**
 * Does to events what a Connect worker does in front of a sink: Avro to
 * Connect's data, Debezium's ExtractNewRecordState, Flatten.
 *
 * <p>Arguments: the topic, the Avro schema, and a file of lines "name, tab, body in hexadecimal".
 * Prints lines "mode, tab, name, tab, JSON of the value": "tombstone" for a null value,
 * "dropped" where the transform leaves no record.
 */
public final class Unwrap {
  public static void main(String[] args) throws Exception {
    String topic = args[0];
    Schema schema = new Schema.Parser().parse(Files.readString(Path.of(args[1])));
    AvroData avroData = new AvroData(10);
    JsonConverter json = new JsonConverter();
    json.configure(Map.of("schemas.enable", "false"), false);

    for (String mode : new String[] {"rewrite", "delete-to-tombstone"}) {
      try (ExtractNewRecordState<SinkRecord> unwrap = new ExtractNewRecordState<>();
          Flatten.Value<SinkRecord> flatten = new Flatten.Value<>()) {
        unwrap.configure(
            Map.of(
                "delete.tombstone.handling.mode", mode,
                "add.fields", "op,source.ts_ms,source.seq,source.reason"));
        flatten.configure(Map.of("delimiter", "_"));

        for (String line : Files.readAllLines(Path.of(args[2]))) {
          String[] parts = line.split("\t");
          byte[] body = HexFormat.of().parseHex(parts[1]);
          BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(body, null);
          Object event = new GenericDatumReader<>(schema).read(null, decoder);
          if (!decoder.isEnd()) {
            throw new IllegalStateException(parts[0] + ": bytes are left");
          }
          SchemaAndValue value = avroData.toConnectData(schema, event);
          SinkRecord record =
              new SinkRecord(topic, 0, null, "123", value.schema(), value.value(), 0);
          SinkRecord out = unwrap.apply(record);
          String shown;
          if (out == null) {
            shown = "dropped";
          } else if (out.value() == null) {
            shown = "tombstone";
          } else {
            out = flatten.apply(out);
            shown =
                new String(
                    json.fromConnectData(topic, out.valueSchema(), out.value()),
                    StandardCharsets.UTF_8);
          }
          System.out.println(mode + "\t" + parts[0] + "\t" + shown);
        }
      }
    }
  }
}
