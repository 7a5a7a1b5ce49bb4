// The rival of bench_latency: the same with franz-go.
//
//	latency BOOTSTRAP TOPIC WARM_UP SECONDS
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"rivals"
)

func fail(what any) {
	fmt.Fprintln(os.Stderr, "latency (franz-go):", what)
	os.Exit(1)
}

func seconds(text string) time.Duration {
	s, err := strconv.ParseFloat(text, 64)
	if err != nil {
		fail(err)
	}
	return time.Duration(s * float64(time.Second))
}

func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		fail(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

type reader struct {
	warmUp, length                time.Duration
	begin, end, started, now, cpu time.Duration // since 1970; CPU since the start of the process
	next                          map[int32]int64
	latencies                     []time.Duration
}

func (r *reader) read(record *kgo.Record) {
	r.now = time.Duration(time.Now().UnixNano())
	if r.end == 0 {
		r.begin = r.now + r.warmUp
		r.end = r.begin + r.length
	}
	if next, ok := r.next[record.Partition]; ok && next != record.Offset {
		fail("a gap")
	}
	r.next[record.Partition] = record.Offset + 1
	if r.now < r.begin {
		return
	}
	if len(r.latencies) == 0 {
		r.started, r.cpu = r.now, cpu()
	}
	r.latencies = append(r.latencies, r.now-time.Duration(binary.BigEndian.Uint64(record.Value)))
}

// The smallest that so many, of a thousand, are not above; in microseconds.
func percentile(sorted []time.Duration, perMille int) float64 {
	return float64(sorted[(len(sorted)*perMille+999)/1000-1].Nanoseconds()) / 1e3
}

func main() {
	if len(os.Args) != 5 {
		fail("usage: latency BOOTSTRAP TOPIC WARM_UP SECONDS")
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(os.Args[1]), kgo.ConsumeTopics(os.Args[2]),
		kgo.ConsumerGroup(fmt.Sprintf("latency-go-%d-%d", os.Getpid(), time.Now().UnixNano())), kgo.ServerSideBalancer(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))
	if err != nil {
		fail(err)
	}
	r := reader{warmUp: seconds(os.Args[3]), length: seconds(os.Args[4]), next: map[int32]int64{}}
	for r.end == 0 || r.now < r.end {
		fetches := client.PollFetches(context.Background())
		if err := fetches.Err(); err != nil {
			fail(err)
		}
		fetches.EachRecord(r.read)
	}
	used, l := cpu()-r.cpu, r.latencies
	client.Close()
	slices.Sort(l)
	fmt.Printf("{\"name\":\"%s\",\"records\":%d,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,"+
		"\"cpu_s\":%.6f,\"settings\":\"PollFetches\"}\n",
		rivals.Name(), len(l), (r.now - r.started).Seconds(), percentile(l, 500), percentile(l, 990), percentile(l, 999),
		percentile(l, 1000), used.Seconds())
}
