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

type member struct {
	held   int
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
	}
	mutex.Unlock()
	select {
	case changed <- struct{}{}:
	default:
	}
}

func (m *member) start(bootstrap, topic, group string) {
	gone := func(_ context.Context, _ *kgo.Client, p map[string][]int32) { m.add(p, -1) }
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ServerSideBalancer(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { m.add(p, 1) }),
		kgo.OnPartitionsRevoked(gone), kgo.OnPartitionsLost(gone))
	if err != nil {
		fail(err)
	}
	m.client = client
	go func() {
		for !client.PollFetches(context.Background()).IsClientClosed() {
		}
	}()
}

// When both hold so many.
func until(a *member, ofA int, b *member, ofB int) time.Time {
	late := time.After(2 * time.Minute)
	for {
		mutex.Lock()
		settled := a.held == ofA && b.held == ofB
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
		a, b := new(member), new(member)
		a.start(os.Args[1], os.Args[2], group)
		until(a, partitions, b, 0)
		sleep(first)
		joined := time.Now()
		b.start(os.Args[1], os.Args[2], group)
		settled := until(a, partitions-partitions/2, b, partitions/2)
		sleep(second)
		left := time.Now()
		closed := make(chan struct{})
		go func() {
			b.client.Close()
			close(closed)
		}()
		resettled := until(a, partitions, b, 0)
		fmt.Printf("{\"name\":\"%s\",\"join_ms\":%.1f,\"leave_ms\":%.1f}\n", rivals.Name(), ms(settled.Sub(joined)), ms(resettled.Sub(left)))
		a.client.Close()
		<-closed
	}
}
