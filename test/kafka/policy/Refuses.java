import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.PolicyViolationException;
import org.apache.kafka.server.policy.AlterConfigPolicy;
import org.apache.kafka.server.policy.CreateTopicPolicy;

/**
 * A platform team's policy about topics: what it refuses is chosen by the first
 * part of a topic's name.
 */
public class Refuses {
  private static final Set<String> SERVERLESS = Set.of("cleanup.policy", "compression.type", "max.message.bytes",
      "message.timestamp.difference.max.ms", "message.timestamp.type", "retention.bytes", "retention.ms");

  private static void check(String topic, Map<String, String> settings) {
    if (topic.startsWith("forbidden-")) {
      throw new PolicyViolationException("Ask the platform team for topic " + topic + ".");
    }
    for (String setting : settings.keySet()) {
      if (topic.startsWith("serverless-") && !SERVERLESS.contains(setting)
          || topic.startsWith("all-") && !setting.equals("cleanup.policy")
          || topic.startsWith("two-") && Set.of("segment.bytes", "max.message.bytes").contains(setting)) {
        throw new PolicyViolationException("Setting " + setting + " belongs to the platform team.");
      }
    }
  }

  public static class Create implements CreateTopicPolicy {
    @Override
    public void validate(RequestMetadata request) {
      check(request.topic(), request.configs());
    }

    @Override
    public void configure(Map<String, ?> configs) {}

    @Override
    public void close() {}
  }

  public static class Alter implements AlterConfigPolicy {
    @Override
    public void validate(RequestMetadata request) {
      if (request.resource().type() == ConfigResource.Type.TOPIC) {
        check(request.resource().name(), request.configs());
      }
    }

    @Override
    public void configure(Map<String, ?> configs) {}

    @Override
    public void close() {}
  }
}
