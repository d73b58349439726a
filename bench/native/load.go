package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"sort"
	"strings"
	"sync"
	"time"
)

// result is what a run of the load generator prints, as one line of JSON.
type result struct {
	Requests int     `json:"requests"` // with a whole, correct response
	Errors   int     `json:"errors"`
	Error    string  `json:"error,omitempty"` // the first one
	Frames   int     `json:"frames"`          // content frames of the streams that came whole
	Seconds  float64 `json:"seconds"`
	P50      float64 `json:"p50_ms"` // to the end of the response; with a rate, from the moment it was due
	P99      float64 `json:"p99_ms"`
	First50  float64 `json:"first_p50_ms"` // to the first byte of the response body
	First99  float64 `json:"first_p99_ms"`
}

type outcome struct {
	whole, first time.Duration
	frames       int
	err          error
}

type plan struct {
	address string
	request []byte
	streams bool
	expects int  // content frames
	fails   bool // any response counts: the upstream fails
	unread  bool // nothing of the response is read
}

func runLoad(args []string) {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	target := flags.String("url", "", "whole URL to POST to")
	name := flags.String("pattern", "plain", "plain, burst, paced, hold, flood, long or a failure: e401, e429, e500, reset, cut")
	model := flags.String("model", "bench-model", "the model's id")
	headers := flags.String("headers", "", `extra headers, one a line`)
	concurrency := flags.Int("concurrency", 32, "connections, each with one request at a time")
	seconds := flags.Float64("seconds", 5, "how long new requests are begun")
	rate := flags.Float64("rate", 0, "requests a second at fixed times; 0: each connection as fast as responses arrive")
	once := flags.Bool("once", false, "one request a connection, all begun within -seconds")
	unread := flags.Bool("unread", false, "read nothing: each connection sends one request and holds it for -seconds")
	_ = flags.Parse(args)

	address, err := url.Parse(*target)
	if err != nil || address.Host == "" {
		fail("-url must be a whole URL")
	}
	job := plan{address: address.Host, streams: streamed(*name), expects: patterns[*name].frames, fails: failures[*name] != nil, unread: *unread}
	job.request = build(address, *name, *model, *headers)
	began := time.Now()
	outcomes := run(job, *concurrency, time.Duration(*seconds*float64(time.Second)), *rate, *once)
	_ = json.NewEncoder(os.Stdout).Encode(summarise(outcomes, time.Since(began)))
}

func streamed(name string) bool {
	return patterns[name].frames > 0 || name == "cut"
}

func build(address *url.URL, name, model, headers string) []byte {
	text := "pattern=" + name + " Which animals stand in the corral, and how many of each? Answer in a few sentences, and say how you counted them."
	body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"system","content":"You are a helpful assistant on a farm."},{"role":"user","content":%q}],"temperature":0.7,"max_tokens":256%s}`,
		model, text, map[bool]string{true: `,"stream":true`}[streamed(name)])
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nhost: %s\r\ncontent-type: application/json\r\naccept: */*\r\nuser-agent: bench\r\n", address.RequestURI(), address.Host)
	if !strings.Contains(headers, "authorization:") {
		head += "authorization: Bearer sk-bench\r\n"
	}
	for _, line := range strings.Split(headers, "\n") {
		if line != "" {
			head += line + "\r\n"
		}
	}
	return []byte(fmt.Sprintf("%scontent-length: %d\r\n\r\n%s", head, len(body), body))
}

func run(job plan, concurrency int, length time.Duration, rate float64, once bool) []outcome {
	var (
		lock     sync.Mutex
		outcomes []outcome
		workers  sync.WaitGroup
	)
	begin := time.Now()
	var due chan time.Time
	if rate > 0 {
		due = make(chan time.Time, int(rate*length.Seconds())+1)
		go func() {
			defer close(due)
			for n := 0; ; n++ {
				at := begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
				if at.Sub(begin) >= length {
					return
				}
				time.Sleep(time.Until(at))
				due <- at
			}
		}()
	}
	for worker := 0; worker < concurrency; worker++ {
		workers.Add(1)
		go func(worker int) {
			defer workers.Done()
			caller := &caller{job: job}
			defer caller.close()
			mine := make([]outcome, 0, 1024)
			switch {
			case job.unread:
				// Begun within a second: a crowd that comes at once keeps a server busy without any stream.
				time.Sleep(time.Second * time.Duration(worker) / time.Duration(concurrency))
				mine = append(mine, caller.hold(length-time.Since(begin)))
			case once:
				time.Sleep(length * time.Duration(worker) / time.Duration(concurrency))
				mine = append(mine, caller.call(time.Now()))
			case due != nil:
				for at := range due {
					mine = append(mine, caller.call(at))
				}
			default:
				// The streams of a pattern begin spread over their pause, so that they do not march in step.
				time.Sleep(10 * time.Millisecond * time.Duration(worker) / time.Duration(concurrency))
				for time.Since(begin) < length {
					mine = append(mine, caller.call(time.Now()))
				}
			}
			lock.Lock()
			outcomes = append(outcomes, mine...)
			lock.Unlock()
		}(worker)
	}
	workers.Wait()
	return outcomes
}

// caller holds one connection and opens it anew when the server has closed it.
type caller struct {
	job        plan
	connection net.Conn
	reader     *bufio.Reader
	lines      *bufio.Reader
}

func (c *caller) close() {
	if c.connection != nil {
		_ = c.connection.Close()
		c.connection = nil
	}
}

func (c *caller) call(due time.Time) outcome {
	frames, first, err := c.exchange()
	if err != nil {
		c.close()
		return outcome{err: err}
	}
	return outcome{whole: time.Since(due), first: first.Sub(due), frames: frames}
}

// hold sends a request and reads nothing of its response.
func (c *caller) hold(length time.Duration) outcome {
	connection, err := net.DialTimeout("tcp", c.job.address, 10*time.Second)
	if err != nil {
		return outcome{err: err}
	}
	c.connection = connection
	if _, err := connection.Write(c.job.request); err != nil {
		return outcome{err: err}
	}
	time.Sleep(length)
	return outcome{}
}

func (c *caller) exchange() (frames int, first time.Time, err error) {
	if c.connection == nil {
		c.connection, err = net.DialTimeout("tcp", c.job.address, 10*time.Second)
		if err != nil {
			return
		}
		c.reader = bufio.NewReaderSize(c.connection, 16<<10)
	}
	if err = c.connection.SetDeadline(time.Now().Add(120 * time.Second)); err != nil {
		return
	}
	if _, err = c.connection.Write(c.job.request); err != nil {
		return
	}
	response, err := readHead(c.reader)
	if err != nil {
		return
	}
	body := response.body(c.reader)
	if body == nil {
		body = c.reader
	}
	if c.job.fails {
		_, err = io.Copy(io.Discard, body)
		if err == nil && response.chunked {
			err = endOfChunks(c.reader)
		}
		if err != nil || response.closes || (!response.chunked && response.contentLength < 0) {
			c.close()
		}
		return 0, time.Now(), nil
	}
	if !strings.Contains(response.first, " 200") {
		text, _ := io.ReadAll(io.LimitReader(body, 300))
		return 0, first, fmt.Errorf("%s: %s", response.first, text)
	}
	if c.lines == nil {
		c.lines = bufio.NewReaderSize(body, 16<<10)
	} else {
		c.lines.Reset(body)
	}
	if c.job.streams {
		frames, first, err = c.readStream()
	} else {
		first, err = c.readPlain()
	}
	if err != nil {
		return
	}
	if response.chunked {
		err = endOfChunks(c.reader)
	}
	if response.closes || (!response.chunked && response.contentLength < 0) {
		c.close()
	}
	return
}

func (c *caller) readPlain() (first time.Time, err error) {
	text, err := io.ReadAll(c.lines)
	if err == nil && !bytes.Contains(text, []byte("The horses stand in the corral.")) {
		err = fmt.Errorf("a wrong response: %.200s", text)
	}
	return time.Now(), err
}

// readStream counts content frames and wants all of them, in whole lines, and the end mark.
func (c *caller) readStream() (frames int, first time.Time, err error) {
	done := false
	for {
		line, err := c.lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return frames, first, err
		}
		if first.IsZero() {
			first = time.Now()
		}
		if bytes.HasPrefix(line, []byte("data: [DONE]")) {
			done = true
		} else if bytes.HasPrefix(line, []byte("data: {")) && bytes.Contains(line, []byte(`" corral`)) {
			frames++
		}
	}
	if !done || frames != c.job.expects {
		return frames, first, fmt.Errorf("a stream lost something: %d of %d frames, end mark %v", frames, c.job.expects, done)
	}
	return frames, first, nil
}

func summarise(outcomes []outcome, took time.Duration) result {
	summary := result{Seconds: took.Seconds()}
	var whole, first []time.Duration
	for _, one := range outcomes {
		if one.err != nil {
			summary.Errors++
			if summary.Error == "" {
				summary.Error = one.err.Error()
			}
			continue
		}
		summary.Requests++
		summary.Frames += one.frames
		whole = append(whole, one.whole)
		first = append(first, one.first)
	}
	summary.P50, summary.P99 = quantile(whole, 0.5), quantile(whole, 0.99)
	summary.First50, summary.First99 = quantile(first, 0.5), quantile(first, 0.99)
	return summary
}

func quantile(values []time.Duration, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sort.Slice(values, func(a, b int) bool { return values[a] < values[b] })
	return float64(values[int(q*float64(len(values)-1))]) / float64(time.Millisecond)
}
