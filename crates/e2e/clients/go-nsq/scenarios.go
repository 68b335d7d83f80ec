package main

import (
	"fmt"
	"io"
	"log"
	"sync"
	"time"

	"github.com/nsqio/go-nsq"
)

// The cases of the specification that need this library itself. Each prints what it saw, for the test to judge.
var scenarios = map[string]func(address string) error{
	"finish-and-requeue":    finishAndRequeue,
	"heartbeat-too-short":   heartbeatTooShort,
	"publish-after-a-pause": publishAfterPause,
}

func quietProducer(address string, config *nsq.Config) (*nsq.Producer, error) {
	producer, err := nsq.NewProducer(address, config)
	if err == nil {
		producer.SetLogger(log.New(io.Discard, "", 0), nsq.LogLevelMax)
	}
	return producer, err
}

// Publishes ten messages and one TOBEFAILED; every message is requeued at once on its first delivery, TOBEFAILED always.
func finishAndRequeue(address string) error {
	producer, err := quietProducer(address, nsq.NewConfig())
	if err != nil {
		return err
	}
	defer producer.Stop()
	const topic, maxAttempts = "finish_and_requeue", 5
	for i := range 10 {
		if err := producer.Publish(topic, fmt.Appendf(nil, "message-%d", i)); err != nil {
			return err
		}
	}
	if err := producer.Publish(topic, []byte("TOBEFAILED")); err != nil {
		return err
	}

	config := nsq.NewConfig()
	config.MaxInFlight = 8
	config.MaxAttempts = maxAttempts
	config.DefaultRequeueDelay = 0
	config.MaxBackoffDuration = 0
	consumer, err := nsq.NewConsumer(topic, "channel", config)
	if err != nil {
		return err
	}
	consumer.SetLogger(log.New(io.Discard, "", 0), nsq.LogLevelMax)
	var open sync.WaitGroup
	open.Add(11)
	var lock sync.Mutex
	consumer.AddHandler(&judge{lock: &lock, open: &open})
	if err := consumer.ConnectToNSQD(address); err != nil {
		return err
	}
	open.Wait()
	consumer.Stop()
	<-consumer.StopChan
	fmt.Println("stopped")
	return nil
}

type judge struct {
	lock *sync.Mutex
	open *sync.WaitGroup
}

func (j *judge) HandleMessage(message *nsq.Message) error {
	j.lock.Lock()
	defer j.lock.Unlock()
	fmt.Printf("delivered %s %d\n", message.Body, message.Attempts)
	if string(message.Body) == "TOBEFAILED" || message.Attempts == 1 {
		message.RequeueWithoutBackoff(0)
		return nil
	}
	fmt.Printf("finished %s\n", message.Body)
	j.open.Done()
	return nil
}

// LogFailedMessage is called by the library in place of HandleMessage once a message had its attempts; the library finishes it.
func (j *judge) LogFailedMessage(message *nsq.Message) {
	fmt.Printf("given up %s %d\n", message.Body, message.Attempts)
	j.open.Done()
}

func heartbeatTooShort(address string) error {
	config := nsq.NewConfig()
	config.HeartbeatInterval = 100 * time.Millisecond
	producer, err := quietProducer(address, config)
	if err != nil {
		return err
	}
	defer producer.Stop()
	fmt.Printf("publish: %v\n", producer.Publish("scenario", []byte("one")))
	return nil
}

// A heartbeat comes between the publishes; each of them must still get its own answer.
func publishAfterPause(address string) error {
	config := nsq.NewConfig()
	config.HeartbeatInterval = time.Second
	producer, err := quietProducer(address, config)
	if err != nil {
		return err
	}
	defer producer.Stop()
	fmt.Printf("publish: %v\n", producer.Publish("scenario", []byte("one")))
	time.Sleep(1100 * time.Millisecond)
	fmt.Printf("publish: %v\n", producer.Publish("scenario", []byte("two")))
	fmt.Printf("publish: %v\n", producer.Publish("scenario", []byte("three")))
	return nil
}
