package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"strings"
	"sync"
	"time"

	"github.com/nsqio/go-nsq"
)

// What this library can do, one after the other on one topic, through the layers that are named: any of tls, snappy, deflate
// and auth, joined by a plus. Prints a line for each ability that was proven.
func abilities(address, layers string) error {
	config, err := layered(layers)
	if err != nil {
		return err
	}
	producer, err := quietProducer(address, config)
	if err != nil {
		return err
	}
	defer producer.Stop()
	topic := "abilities"
	if err := producer.Publish(topic, []byte("publish")); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if err := producer.MultiPublish(topic, [][]byte{[]byte("multi-1"), []byte("multi-2"), []byte("requeue"), []byte("touch"), []byte("backoff")}); err != nil {
		return fmt.Errorf("multi-publish: %w", err)
	}
	began := time.Now()
	if err := producer.DeferredPublish(topic, 300*time.Millisecond, []byte("deferred")); err != nil {
		return fmt.Errorf("deferred publish: %w", err)
	}

	config.MaxInFlight = 1
	config.MsgTimeout = 2 * time.Second
	config.DefaultRequeueDelay = 0
	config.BackoffMultiplier = 50 * time.Millisecond
	consumer, err := nsq.NewConsumer(topic, "channel", config)
	if err != nil {
		return err
	}
	consumer.SetLogger(log.New(io.Discard, "", 0), nsq.LogLevelMax)
	var open sync.WaitGroup
	open.Add(7)
	consumer.AddHandler(nsq.HandlerFunc(func(message *nsq.Message) error {
		body := string(message.Body)
		switch {
		case body == "requeue" && message.Attempts == 1:
			message.RequeueWithoutBackoff(0)
			return nil
		case body == "backoff" && message.Attempts == 1:
			return fmt.Errorf("refused once, so that the consumer backs off")
		case body == "touch":
			// Longer than the time-out in all, so that only the touches keep it from coming again.
			for range 5 {
				time.Sleep(500 * time.Millisecond)
				message.Touch()
			}
		case body == "deferred" && time.Since(began) < 300*time.Millisecond:
			return fmt.Errorf("early")
		}
		fmt.Printf("%s %d\n", body, message.Attempts)
		open.Done()
		return nil
	}))
	if err := consumer.ConnectToNSQD(address); err != nil {
		return err
	}
	open.Wait()
	consumer.Stop()
	<-consumer.StopChan
	return nil
}

func layered(layers string) (*nsq.Config, error) {
	config := nsq.NewConfig()
	for layer := range strings.SplitSeq(layers, "+") {
		switch layer {
		case "plain":
		case "tls":
			config.TlsV1 = true
			config.TlsConfig = &tls.Config{InsecureSkipVerify: true}
		case "snappy":
			config.Snappy = true
		case "deflate":
			config.Deflate = true
		case "auth":
			config.AuthSecret = "secret"
		default:
			return nil, fmt.Errorf("no layer %s", layer)
		}
	}
	return config, nil
}
