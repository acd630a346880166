import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.CommitMode;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import io.confluent.parallelconsumer.internal.AbstractParallelEoSStreamProcessor;
import java.io.IOException;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.function.LongConsumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Confluent's parallel-consumer as a candidate of the benchmarks: a Job as JSON on the standard input, a Measurement as
 * JSON on the last line of the standard output. model.py tells of both, pace.py how time is taken, README.md why these
 * settings.
 */
public final class ParallelConsumerPeer {
    private static final long LOOK_MS = 10;
    private static final double STANDSTILL_SECONDS_MAX = 20.0;
    private static final Duration COMMIT_INTERVAL = Duration.ofMillis(500); // as ours, by default
    private static final int LOAD_FACTOR = 10; // records queued for each handler; else it begins at 2 and grows slowly
    private static final double WARM_UP = 0.25; // part of the records that is left out of the rate, for the compiler
    private static final Duration CLOSE_MAX = Duration.ofSeconds(20);

    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        ObjectMapper json = new ObjectMapper();
        JsonNode job = json.readTree(System.in);
        Map<String, Object> measurement = new ParallelConsumerPeer(job).measure();
        out.println(json.writeValueAsString(measurement));
        out.flush();
        System.exit(0); // handlers that never return do not keep it alive
    }

    private final JsonNode job;
    private final JsonNode options;
    private final Records records;

    private ParallelConsumerPeer(JsonNode job) throws IOException {
        this.job = job;
        this.options = job.get("options");
        this.records = new Records(job);
    }

    private Map<String, Object> measure() throws Exception {
        Pace pace = new Pace(records, options.path("warm_up").asDouble(WARM_UP));
        Handler handler = handler();
        List<String> problems = new ArrayList<>();
        ParallelStreamProcessor<byte[], byte[]> processor = ParallelStreamProcessor.createEosStreamProcessor(settings());
        processor.subscribe(List.of(job.get("topic").asText()));
        processor.poll(context -> handler.handle(context.getSingleConsumerRecord()));
        while (!pace.look() && !processor.isClosedOrFailed()) {
            Thread.sleep(LOOK_MS);
        }
        if (processor.isClosedOrFailed()) {
            Exception cause = ((AbstractParallelEoSStreamProcessor<?, ?>) processor).getFailureCause();
            problems.add("the consumer ended by itself: " + cause);
        } else if (records.complete()) {
            processor.closeDrainFirst(CLOSE_MAX);
        }
        return pace.measurement(problems);
    }

    private ParallelConsumerOptions<byte[], byte[]> settings() {
        Map<String, Object> client = new LinkedHashMap<>();
        client.put("bootstrap.servers", job.get("bootstrap_servers").asText());
        client.put("group.id", job.get("group").asText());
        client.put("auto.offset.reset", "earliest");
        client.put("enable.auto.commit", false);
        client.put("key.deserializer", ByteArrayDeserializer.class);
        client.put("value.deserializer", ByteArrayDeserializer.class);
        client.put("fetch.max.bytes", 50 * 1024 * 1024);
        client.put("max.partition.fetch.bytes", 1024 * 1024);
        client.put("check.crcs", false);
        String order = options.path("order").asText("key");
        return ParallelConsumerOptions.<byte[], byte[]>builder()
                .consumer(new KafkaConsumer<>(client))
                .ordering(ProcessingOrder.valueOf(order.toUpperCase()))
                .commitMode(CommitMode.PERIODIC_CONSUMER_ASYNCHRONOUS)
                .commitInterval(COMMIT_INTERVAL)
                .maxConcurrency(options.get("concurrency").asInt())
                .initialLoadFactor(LOAD_FACTOR)
                .build();
    }

    // Handlers

    private interface Handler {
        void handle(ConsumerRecord<byte[], byte[]> record);
    }

    private Handler handler() throws IOException {
        LongConsumer work = work(options.get("handler"));
        Handler handler = record -> {
            work.accept(record.offset());
            records.mark(record.partition(), record.offset());
        };
        if (options.hasNonNull("stuck")) {
            handler = withStuck(handler, options.get("stuck").get(0).asInt(), options.get("stuck").get(1).asLong());
        }
        String spans = job.path("spans").asText("");
        return spans.isEmpty() ? handler : withSpans(handler, new Spans(spans, records));
    }

    /** By the offset of its record. */
    private static LongConsumer work(JsonNode options) {
        long nanoseconds = Math.round(options.path("seconds").asDouble() * 1e9);
        String kind = options.get("kind").asText();
        switch (kind) {
            case "noop":
                return offset -> {};
            case "checkpoint":
                return offset -> Thread.yield();
            case "sleep":
                return offset -> sleep(nanoseconds);
            case "sweep":
                return offset -> sleep((offset * 2654435761L & 0xFFFFFFFFL) % 5 * 1_000_000);
            case "cpu":
                return offset -> compute(nanoseconds);
            default:
                throw new IllegalArgumentException("handler " + kind + ": peers have no such kind");
        }
    }

    private static void sleep(long nanoseconds) {
        try {
            Thread.sleep(nanoseconds / 1_000_000, (int) (nanoseconds % 1_000_000));
        } catch (InterruptedException closing) {
            Thread.currentThread().interrupt();
        }
    }

    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    private static void compute(long nanoseconds) {
        long until = THREADS.getCurrentThreadCpuTime() + nanoseconds;
        while (THREADS.getCurrentThreadCpuTime() < until) {
            Thread.onSpinWait();
        }
    }

    private static Handler withStuck(Handler handler, int partition, long offset) {
        CountDownLatch never = new CountDownLatch(1);
        return record -> {
            if (record.offset() == offset && record.partition() == partition) {
                try {
                    never.await();
                } catch (InterruptedException closing) {
                    Thread.currentThread().interrupt();
                    return;
                }
            }
            handler.handle(record);
        };
    }

    private static Handler withSpans(Handler handler, Spans spans) {
        return record -> {
            spans.put(record.partition(), record.offset(), 0);
            handler.handle(record);
            spans.put(record.partition(), record.offset(), 1);
        };
    }

    // What is shared with the harness

    /** How often each record was handled: one byte each. */
    private static final class Records {
        final int[] firsts; // by partition, the place of its offset 0
        final int count;
        private final ByteBuffer marks;
        private int low;

        Records(JsonNode job) throws IOException {
            JsonNode counts = job.get("counts");
            firsts = new int[counts.size()];
            int sum = 0;
            for (int partition = 0; partition < firsts.length; partition++) {
                firsts[partition] = sum;
                sum += counts.get(partition).asInt();
            }
            count = sum;
            marks = map(job.get("marks").asText(), count);
        }

        void mark(int partition, long offset) {
            int place = firsts[partition] + (int) offset;
            marks.put(place, (byte) (marks.get(place) + 1));
        }

        boolean complete() {
            while (low < count && marks.get(low) != 0) {
                low++;
            }
            return low == count;
        }

        int handled() {
            int handled = 0;
            for (int place = 0; place < count; place++) {
                handled += marks.get(place) == 0 ? 0 : 1;
            }
            return handled;
        }
    }

    /** When the handler of each record began and ended: nanoseconds of the monotonic clock, eight bytes each. */
    private static final class Spans {
        private final ByteBuffer times;
        private final Records records;

        Spans(String path, Records records) throws IOException {
            this.times = map(path, 16L * records.count).order(ByteOrder.nativeOrder());
            this.records = records;
        }

        void put(int partition, long offset, int which) {
            times.putLong(16 * (records.firsts[partition] + (int) offset) + 8 * which, System.nanoTime());
        }
    }

    private static ByteBuffer map(String path, long size) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(path, "rw")) {
            return file.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, size);
        }
    }

    /** The clock: from the first look that sees records handled, after the warm-up, to the one that sees all. */
    private static final class Pace {
        private final Records records;
        private final int warmUp;
        private long begun, first, last, since = System.nanoTime();
        private long firstCpu, lastCpu;
        private int already, early, seen;

        Pace(Records records, double warmUp) {
            this.records = records;
            this.warmUp = (int) (warmUp * records.count);
        }

        /** True when there is nothing to wait for. */
        boolean look() {
            long now = System.nanoTime();
            if (records.complete()) {
                last = now;
                lastCpu = cpu();
                return true;
            }
            if (first == 0) {
                int handled = records.handled();
                if (handled > 0 && begun == 0) {
                    begun = now;
                    early = handled;
                }
                if (handled > warmUp) {
                    first = now;
                    firstCpu = cpu();
                    already = handled;
                }
            }
            if (now - since > STANDSTILL_SECONDS_MAX * 1e9) {
                int handled = records.handled();
                if (handled == seen) {
                    return true;
                }
                seen = handled;
                since = now;
            }
            return false;
        }

        Map<String, Object> measurement(List<String> problems) {
            Map<String, Object> detail = new LinkedHashMap<>();
            Double value = null;
            List<String> all = new ArrayList<>(problems);
            if (last == 0) {
                all.add("nothing was handled for " + (int) STANDSTILL_SECONDS_MAX + " s");
            } else {
                int counted = Math.max(records.count - already, 1);
                value = counted * 1e9 / (last - (first == 0 ? since : first));
                detail.put("cpu_us_per_record", (lastCpu - firstCpu) / 1e3 / counted);
                if (begun != 0) {
                    detail.put("with_warm_up", Math.max(records.count - early, 1) * 1e9 / (last - begun));
                }
            }
            Map<String, Object> measurement = new LinkedHashMap<>();
            measurement.put("value", value);
            measurement.put("problems", all);
            measurement.put("detail", detail);
            return measurement;
        }

        private static long cpu() {
            return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
        }
    }
}
