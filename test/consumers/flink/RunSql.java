import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Does what Flink's SQL client does with -f, which is not in Maven Central:
 * runs a file of SQL statements, and the jobs that they start until they fail
 * or the process is ended.
 */
public class RunSql {
  public static void main(String[] args) throws Exception {
    TableEnvironment env =
        TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().build());
    List<TableResult> jobs = new ArrayList<>();
    for (String statement : statements(Files.readString(Path.of(args[0])))) {
      TableResult result = env.executeSql(statement);
      if (result.getJobClient().isPresent()) {
        jobs.add(result);
        System.out.println("job started");
      }
    }
    for (TableResult job : jobs) {
      job.await();
    }
  }

  /** A statement ends with a semicolon at the end of a line; a statement set with END. */
  static List<String> statements(String text) {
    List<String> all = new ArrayList<>();
    StringBuilder statement = new StringBuilder();
    for (String line : text.split("\n")) {
      if (line.startsWith("--")) {
        continue;
      }
      statement.append(line).append('\n');
      boolean set = statement.toString().stripLeading().startsWith("EXECUTE STATEMENT SET");
      if (set ? line.equals("END;") : line.endsWith(";")) {
        String whole = statement.toString().strip();
        all.add(whole.substring(0, whole.length() - 1));
        statement.setLength(0);
      }
    }
    return all;
  }
}
