// One turn of the reference's disk queue on a directory, for the test tests/queue/interchange.rs.
//
//	go-interchange <dir> <name> <max bytes per file> <step>...
//
// Steps: "put FROM COUNT" appends numbered records, "take COUNT" consumes that many and prints their numbers, "depth"
// prints the depth, "empty" empties, "crash" ends without closing. Log lines from WARNING up go to standard error.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/nsqio/go-diskqueue"
)

const (
	recordLength = 29
	minLength    = 4
	maxLength    = 60
	syncEvery    = 10
	// A record that is not there within this time is missing.
	patience = 10 * time.Second
)

func record(number uint32) []byte {
	data := bytes.Repeat([]byte{byte(number % 251)}, recordLength)
	binary.BigEndian.PutUint32(data, number)
	return data
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

func number(arguments []string, index int) int {
	if index >= len(arguments) {
		fail("a number is missing")
	}
	value, err := strconv.Atoi(arguments[index])
	if err != nil {
		fail("%s", err)
	}
	return value
}

func logf(level diskqueue.LogLevel, format string, arguments ...any) {
	if level >= diskqueue.WARN {
		fmt.Fprintf(os.Stderr, "%s: %s\n", level, fmt.Sprintf(format, arguments...))
	}
}

func put(queue diskqueue.Interface, from, count int) {
	for i := from; i < from+count; i++ {
		if err := queue.Put(record(uint32(i))); err != nil {
			fail("put: %s", err)
		}
	}
}

func take(queue diskqueue.Interface, count int) {
	for i := 0; i < count; i++ {
		select {
		case data := <-queue.ReadChan():
			value := binary.BigEndian.Uint32(data)
			if !bytes.Equal(data, record(value)) {
				fail("record %d is damaged", value)
			}
			fmt.Println(value)
		case <-time.After(patience):
			fail("only %d of %d records", i, count)
		}
	}
}

func main() {
	if len(os.Args) < 4 {
		fail("usage: go-interchange <dir> <name> <max bytes per file> <step>...")
	}
	maxBytes := int64(number(os.Args, 3))
	queue := diskqueue.New(os.Args[2], os.Args[1], maxBytes, minLength, maxLength, syncEvery, time.Hour, logf)
	steps := os.Args[4:]
	for len(steps) > 0 {
		switch steps[0] {
		case "put":
			put(queue, number(steps, 1), number(steps, 2))
			steps = steps[2:]
		case "take":
			take(queue, number(steps, 1))
			steps = steps[1:]
		case "depth":
			fmt.Println(queue.Depth())
		case "empty":
			if err := queue.Empty(); err != nil {
				fail("empty: %s", err)
			}
		case "crash":
			os.Exit(0)
		default:
			fail("unknown step %s", steps[0])
		}
		steps = steps[1:]
	}
	if err := queue.Close(); err != nil {
		fail("close: %s", err)
	}
}
