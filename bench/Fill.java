import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Fills a topic for benchmarks: 16-byte keys, JSON-like values of a given size, batches of 64 KiB, partitions in turn, or the first
 * PARTITIONS of them.
 *
 *   java -cp LIBS Fill.java BOOTSTRAP TOPIC RECORDS SIZE CODEC [PARTITIONS]
 */
public class Fill {
    public static void main(String[] args) throws Exception {
        final long records = Long.parseLong(args[2]);
        final int size = Integer.parseInt(args[3]);
        Properties p = new Properties();
        p.putAll(Map.of("bootstrap.servers", args[0], "acks", "1", "batch.size", "65536", "linger.ms", "100",
                "compression.type", args[4], "buffer.memory", "67108864", "max.request.size", "1048576",
                "key.serializer", ByteArraySerializer.class.getName(), "value.serializer", ByteArraySerializer.class.getName()));
        // Values repeat, so that making them costs nothing, but not within a batch: compression must have something to do.
        final Random random = new Random(1);
        final byte[][] values = new byte[4096][];
        for (int i = 0; i < values.length; i++) {
            StringBuilder text = new StringBuilder("{\"id\":" + random.nextInt(1000000) + ",\"user\":\"u" + random.nextInt(100000)
                    + "\",\"amount\":" + random.nextInt(100000) / 100.0 + ",\"note\":\"");
            while (text.length() < size - 3) text.append((char) ('a' + random.nextInt(26)));
            text.setLength(Math.max(0, size - 3));
            // Readers sum the last bytes: they must differ.
            values[i] = text.append("\"}").append(random.nextInt(10)).substring(0, size).getBytes(StandardCharsets.US_ASCII);
        }
        final byte[][] keys = new byte[65536][];
        for (int i = 0; i < keys.length; i++) keys[i] = String.format("%016d", i).getBytes(StandardCharsets.US_ASCII);
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(p)) {
            final int partitions = args.length > 5 ? Integer.parseInt(args[5]) : producer.partitionsFor(args[1]).size();
            for (long i = 0; i < records; i++) {
                // A batch's worth for one partition after the other: batches are full.
                final int partition = (int) (i / 500 % partitions);
                producer.send(new ProducerRecord<>(args[1], partition, keys[(int) (i & 65535)], values[(int) (i & 4095)]));
            }
        }
    }
}
