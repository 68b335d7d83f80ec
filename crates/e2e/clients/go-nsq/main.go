// Publish and consume lines with go-nsq. The two commands are described in ../README.md; scenarios.go and abilities.go have two more.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nsqio/go-nsq"
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("publish, consume, scenario or abilities")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	topic := flags.String("topic", "", "")
	channel := flags.String("channel", "", "")
	nsqds := flags.String("nsqd", "", "")
	lookupds := flags.String("lookupd", "", "")
	batch := flags.Int("batch", 200, "")
	count := flags.Int("count", 0, "")
	_ = flags.Parse(os.Args[2:])
	var err error
	switch os.Args[1] {
	case "publish":
		err = publish(*topic, strings.Split(*nsqds, ","), *batch)
	case "consume":
		err = consume(*topic, *channel, strings.Split(*lookupds, ","), *count)
	case "scenario":
		scenario, known := scenarios[flags.Arg(0)]
		if !known {
			log.Fatalf("no scenario %q", flags.Arg(0))
		}
		err = scenario(*nsqds)
	case "abilities":
		err = abilities(*nsqds, flags.Arg(0))
	default:
		err = fmt.Errorf("unknown command %s", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func publish(topic string, addresses []string, batch int) error {
	var producers []*nsq.Producer
	for _, address := range addresses {
		config := nsq.NewConfig()
		config.DialTimeout = time.Second
		producer, err := nsq.NewProducer(address, config)
		if err != nil {
			return err
		}
		// What fails is told below, and the batch is tried elsewhere.
		producer.SetLoggerLevel(nsq.LogLevelMax)
		producers = append(producers, producer)
		defer producer.Stop()
	}
	lines := bufio.NewReader(os.Stdin)
	total, turn, refused := 0, 0, 0
	var bodies [][]byte
	send := func() error {
		end := time.Now().Add(60 * time.Second)
		for time.Now().Before(end) {
			producer := producers[turn%len(producers)]
			turn++
			err := producer.MultiPublish(topic, bodies)
			if err == nil {
				total += len(bodies)
				bodies = nil
				return nil
			}
			if refused++; refused <= 20 {
				log.Printf("%s: %v", producer, err)
			}
			if turn%len(producers) == 0 {
				time.Sleep(50 * time.Millisecond)
			}
		}
		return fmt.Errorf("no nsqd took a batch of %s for 60 s", topic)
	}
	for {
		line, err := lines.ReadBytes('\n')
		ended := err == io.EOF
		if err != nil && !ended {
			return err
		}
		if line = bytes.TrimSuffix(line, []byte("\n")); len(line) > 0 {
			bodies = append(bodies, line)
		}
		if len(bodies) >= batch || (ended && len(bodies) > 0) {
			if err := send(); err != nil {
				return err
			}
		}
		if ended {
			break
		}
	}
	fmt.Printf("published %d\n", total)
	return nil
}

func consume(topic, channel string, lookupds []string, count int) error {
	config := nsq.NewConfig()
	config.MaxInFlight = 200
	config.LookupdPollInterval = time.Second
	config.LookupdPollJitter = 0
	config.MaxBackoffDuration = time.Second
	consumer, err := nsq.NewConsumer(topic, channel, config)
	if err != nil {
		return err
	}
	consumer.SetLoggerLevel(nsq.LogLevelError)
	var lock sync.Mutex
	out := bufio.NewWriter(os.Stdout)
	seen := 0
	enough := make(chan struct{})
	consumer.AddConcurrentHandlers(nsq.HandlerFunc(func(message *nsq.Message) error {
		lock.Lock()
		defer lock.Unlock()
		_, _ = out.Write(message.Body)
		_ = out.WriteByte('\n')
		// Printed before it is finished, so that a message is lost to neither side.
		if err := out.Flush(); err != nil {
			return err
		}
		seen++
		if seen == count {
			close(enough)
		}
		return nil
	}), 4)
	if err := consumer.ConnectToNSQLookupds(lookupds); err != nil {
		return err
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	select {
	case <-term:
	case <-enough:
	}
	consumer.Stop()
	<-consumer.StopChan
	return nil
}
