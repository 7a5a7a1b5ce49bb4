// The rival of bench_consume: the same work with the Java consumer, at its best, and the same JSON line.
//
//   java -cp KAFKA-CLIENTS Consume.java BOOTSTRAP TOPIC COUNT [property=value ...]
//
// All is read three times, each time by a new member of a new group. The line has the third: by then what is hot is compiled. But
// first_s is that of the first, as it is for programs that start cold.

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.utils.AppInfoParser;

public class Consume {
  static final Map<String, String> tuned = new TreeMap<>(Map.of("max.poll.records", "10000", "receive.buffer.bytes", "-1"));

  /// What this process has used so far.
  static class Usage {
    final long at = System.nanoTime();
    final double user, system;

    Usage() throws IOException {
      // Behind the name, which may have blanks: the state is the third field, utime and stime the 14th and 15th, in 1/100 s.
      String stat = Files.readString(Path.of("/proc/self/stat"));
      String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
      user = Long.parseLong(fields[11]) / 100.0;
      system = Long.parseLong(fields[12]) / 100.0;
    }

    double since(Usage earlier) { return (at - earlier.at) / 1e9; }
  }

  static class Pass {
    final Usage start = new Usage();
    Usage first, last;
    long records, bytes, sum;

    Pass(String[] args, long wanted, int n) throws IOException {
      Properties p = new Properties();
      p.putAll(tuned);
      for (String setting : List.of(args).subList(3, args.length)) {
        String[] parts = setting.split("=", 2);
        p.put(parts[0], parts[1]);
      }
      p.put("bootstrap.servers", args[0]);
      p.put("group.id", "bench-java-" + ProcessHandle.current().pid() + "-" + n);
      p.put("group.protocol", "consumer");
      p.put("auto.offset.reset", "earliest");
      try (var consumer = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
        consumer.subscribe(List.of(args[1]));
        while (records < wanted) {
          ConsumerRecords<byte[], byte[]> some = consumer.poll(Duration.ofMillis(100));
          if (records == 0 && !some.isEmpty()) first = new Usage();
          read(some, wanted);
        }
        last = new Usage();
      }
    }

    private void read(ConsumerRecords<byte[], byte[]> some, long wanted) {
      for (ConsumerRecord<byte[], byte[]> record : some) {
        if (records == wanted) return;
        ++records;
        byte[] key = record.key(), value = record.value();
        bytes += (key == null ? 0 : key.length) + (value == null ? 0 : value.length);
        if (value != null && value.length > 0) sum += value[value.length - 1] & 255;
      }
    }
  }

  static long maxRssKb() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) return Long.parseLong(line.replaceAll("\\D", ""));
    }
    throw new IOException("no VmHWM in /proc/self/status");
  }

  public static void main(String[] args) throws Exception {
    long wanted = Long.parseLong(args[2]);
    Pass cold = new Pass(args, wanted, 1);
    new Pass(args, wanted, 2);
    Pass warm = new Pass(args, wanted, 3);
    Usage end = new Usage();
    String settings = tuned.entrySet().stream().map(Object::toString).collect(Collectors.joining(", "));
    System.out.printf(Locale.ROOT, "{\"name\":\"Java %s\",\"topic\":\"%s\",\"records\":%d,\"bytes\":%d,\"first_s\":%.6f,\"wall_s\":%.6f"
        + ",\"user_s\":%.6f,\"sys_s\":%.6f,\"cpu_all_s\":%.6f,\"maxrss_kb\":%d,\"sum\":%d,\"settings\":\"%s\"}%n",
        AppInfoParser.getVersion(), args[1], warm.records, warm.bytes, cold.first.since(cold.start), warm.last.since(warm.first),
        warm.last.user - warm.first.user, warm.last.system - warm.first.system, end.user + end.system, maxRssKb(), warm.sum,
        settings + ", third pass");
  }
}
