// The rival of bench_consume: the same work with franz-go, at its best, and the same JSON line.
//
//	consume BOOTSTRAP TOPIC COUNT [security.protocol=SSL ssl.ca.location=FILE]
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"rivals"
)

const settings = "WithPools, Recycle, FetchMaxPartitionBytes(2097152), PollFetches"

func fail(what any) {
	fmt.Fprintln(os.Stderr, "consume (franz-go):", what)
	os.Exit(1)
}

// A free list: a sync.Pool would be emptied by every collection.
type freeList[T any] struct {
	mutex sync.Mutex
	free  [][]T
}

func (l *freeList[T]) get(n int) []T {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if last := len(l.free) - 1; last >= 0 {
		slice := l.free[last]
		l.free = l.free[:last]
		if cap(slice) >= n {
			return slice[:0]
		}
	}
	return make([]T, 0, n)
}

func (l *freeList[T]) put(slice []T) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.free = append(l.free, slice)
}

type recordPool struct{ list freeList[kgo.Record] }

func (p *recordPool) GetRecords(n int) []kgo.Record { return p.list.get(n) }
func (p *recordPool) PutRecords(s []kgo.Record)     { p.list.put(s) }

type bytesPool struct{ list freeList[byte] }

func (p *bytesPool) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	return p.list.get(2 * len(compressed))
}
func (p *bytesPool) PutDecompressBytes(s []byte) { p.list.put(s) }

// What this process has used so far.
type usage struct {
	at           time.Time
	user, system time.Duration
	maxRSS       int64
}

func now() usage {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		fail(err)
	}
	return usage{time.Now(), time.Duration(r.Utime.Nano()), time.Duration(r.Stime.Nano()), r.Maxrss}
}

type reader struct {
	wanted, records, bytes, sum uint64
}

func (r *reader) read(record *kgo.Record) {
	if r.records < r.wanted {
		r.records++
		r.bytes += uint64(len(record.Key) + len(record.Value))
		if n := len(record.Value); n > 0 {
			r.sum += uint64(record.Value[n-1])
		}
	}
	record.Recycle()
}

// As Kafka's properties have it: who is trusted, and nothing else.
func overTLS(properties []string) kgo.Opt {
	file, found := strings.CutPrefix(properties[len(properties)-1], "ssl.ca.location=")
	if !found || len(properties) != 2 || properties[0] != "security.protocol=SSL" {
		fail("security.protocol=SSL ssl.ca.location=FILE is all there is")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		fail(err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(text) {
		fail(file + ": no certificate")
	}
	return kgo.DialTLSConfig(&tls.Config{RootCAs: trusted})
}

func main() {
	start := now()
	if len(os.Args) < 4 {
		fail("usage: consume BOOTSTRAP TOPIC COUNT [security.protocol=SSL ssl.ca.location=FILE]")
	}
	wanted, err := strconv.ParseUint(os.Args[3], 10, 64)
	if err != nil || wanted == 0 {
		fail("COUNT is not a positive number")
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(os.Args[1]), kgo.ConsumeTopics(os.Args[2]),
		kgo.ConsumerGroup(fmt.Sprintf("bench-go-%d-%d", os.Getpid(), time.Now().UnixNano())), kgo.ServerSideBalancer(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxPartitionBytes(2 << 20), kgo.WithPools(&recordPool{}, &bytesPool{}),
	}
	if len(os.Args) > 4 {
		options = append(options, overTLS(os.Args[4:]))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		fail(err)
	}
	all := reader{wanted: wanted}
	var first usage
	for all.records < wanted {
		fetches := client.PollFetches(context.Background())
		if err := fetches.Err(); err != nil {
			fail(err)
		}
		if all.records == 0 {
			first = now()
		}
		fetches.EachRecord(all.read)
	}
	last := now()
	client.Close()
	end := now()
	fmt.Printf("{\"name\":\"%s\",\"topic\":\"%s\",\"records\":%d,\"bytes\":%d,\"first_s\":%.6f,\"wall_s\":%.6f,\"user_s\":%.6f,"+
		"\"sys_s\":%.6f,\"cpu_all_s\":%.6f,\"maxrss_kb\":%d,\"sum\":%d,\"settings\":\"%s\"}\n",
		rivals.Name(), os.Args[2], all.records, all.bytes, first.at.Sub(start.at).Seconds(), last.at.Sub(first.at).Seconds(),
		(last.user - first.user).Seconds(), (last.system - first.system).Seconds(), (end.user + end.system).Seconds(), end.maxRSS, all.sum,
		settings)
}
