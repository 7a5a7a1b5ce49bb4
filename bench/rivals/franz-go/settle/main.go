// The rival of bench_settle: the same rounds with franz-go.
//
//	settle BOOTSTRAP TOPIC PARTITIONS
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"rivals"
)

var (
	mutex   sync.Mutex
	changed = make(chan struct{}, 1)
)

// Guarded by mutex: partitions, and those of them of which there was a record.
type member struct {
	held   int
	read   map[int32]bool
	client *kgo.Client
}

func fail(what any) {
	fmt.Fprintln(os.Stderr, "settle (franz-go):", what)
	os.Exit(1)
}

func (m *member) add(lists map[string][]int32, sign int) {
	mutex.Lock()
	for _, list := range lists {
		m.held += sign * len(list)
		for _, partition := range list {
			delete(m.read, partition)
		}
	}
	mutex.Unlock()
	tell()
}

func (m *member) readOf(p kgo.FetchTopicPartition) {
	if len(p.Records) == 0 {
		return
	}
	mutex.Lock()
	m.read[p.Partition] = true
	mutex.Unlock()
	tell()
}

func tell() {
	select {
	case changed <- struct{}{}:
	default:
	}
}

func (m *member) start(bootstrap, topic, group string) {
	gone := func(_ context.Context, _ *kgo.Client, p map[string][]int32) { m.add(p, -1) }
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ServerSideBalancer(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.FetchMaxWait(500*time.Millisecond), // the others' default: what is assigned waits until a fetch of what was held returns
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { m.add(p, 1) }),
		kgo.OnPartitionsRevoked(gone), kgo.OnPartitionsLost(gone))
	if err != nil {
		fail(err)
	}
	m.client = client
	go func() {
		for {
			fetches := client.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			fetches.EachPartition(m.readOf)
		}
	}()
}

func held(m *member) int { return m.held }
func read(m *member) int { return len(m.read) }

// When one has so many, and the other.
func until(what func(*member) int, a *member, ofA int, b *member, ofB int) time.Time {
	late := time.After(2 * time.Minute)
	for {
		mutex.Lock()
		settled := what(a) == ofA && what(b) == ofB
		mutex.Unlock()
		if settled {
			return time.Now()
		}
		select {
		case <-changed:
		case <-late:
			fail("not settled within two minutes")
		}
	}
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

func sleep(ms float64) { time.Sleep(time.Duration(ms * float64(time.Millisecond))) }

func main() {
	if len(os.Args) != 4 {
		fail("usage: settle BOOTSTRAP TOPIC PARTITIONS <ROUNDS")
	}
	partitions, err := strconv.Atoi(os.Args[3])
	if err != nil {
		fail(err)
	}
	for n := 0; ; n++ {
		var first, second float64
		if _, err := fmt.Scan(&first, &second); err == io.EOF {
			return
		} else if err != nil {
			fail(err)
		}
		group := fmt.Sprintf("settle-go-%d-%d", os.Getpid(), n)
		a, b := &member{read: map[int32]bool{}}, &member{read: map[int32]bool{}}
		a.start(os.Args[1], os.Args[2], group)
		until(read, a, partitions, b, 0)
		sleep(first)
		joined := time.Now()
		b.start(os.Args[1], os.Args[2], group)
		settled := until(held, a, partitions-partitions/2, b, partitions/2)
		sleep(second)
		left := time.Now()
		closed := make(chan struct{})
		go func() {
			b.client.Close()
			close(closed)
		}()
		resettled := until(held, a, partitions, b, 0)
		afterwards := until(read, a, partitions, b, 0).Sub(resettled)
		fmt.Printf("{\"name\":\"%s\",\"join_ms\":%.1f,\"leave_ms\":%.1f,\"first_ms\":%.2f}\n", rivals.Name(), ms(settled.Sub(joined)),
			ms(resettled.Sub(left)), ms(afterwards))
		a.client.Close()
		<-closed
	}
}
