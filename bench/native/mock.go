package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// A pattern of arrival, named in the request's text as `pattern=NAME`, so that it passes every server between unchanged.
type pattern struct {
	frames   int           // content frames in a stream
	together int           // frames a write
	pause    time.Duration // between two writes
}

// The patterns are fixed: changing one makes figures incomparable with earlier ones.
var patterns = map[string]pattern{
	"burst": {frames: 200, together: 10, pause: 10 * time.Millisecond},
	"paced": {frames: 100, together: 1, pause: 10 * time.Millisecond},
	"hold":  {frames: 12, together: 1, pause: time.Second},
	"flood": {frames: 10000, together: 100},
	"long":  {frames: 1 << 30, together: 100},
}

// The failures of an upstream, named in the request's text as the patterns are.
var failures = map[string]func(net.Conn) error{
	"e401":  refuse("401 Unauthorized", "invalid_request_error", "invalid_api_key"),
	"e429":  refuse("429 Too Many Requests", "requests", "rate_limit_exceeded"),
	"e500":  refuse("500 Internal Server Error", "server_error", "internal_error"),
	"reset": reset,
	"cut":   cut,
}

const created = 1790000000

func runMock(args []string) {
	flags := flag.NewFlagSet("mock", flag.ExitOnError)
	address := flags.String("listen", "127.0.0.1:0", "address")
	_ = flags.Parse(args)
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		fail("the mock upstream cannot listen: %v", err)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	for {
		connection, err := listener.Accept()
		if err != nil {
			fail("the mock upstream stopped: %v", err)
		}
		go serve(connection)
	}
}

func serve(connection net.Conn) {
	defer connection.Close()
	reader := bufio.NewReaderSize(connection, 16<<10)
	var buffer bytes.Buffer
	for {
		request, err := readHead(reader)
		if err != nil {
			return
		}
		buffer.Reset()
		if body := request.body(reader); body != nil {
			if _, err := io.Copy(&buffer, body); err != nil {
				return
			}
			if request.chunked && endOfChunks(reader) != nil {
				return
			}
		}
		if err := respondTo(connection, request, buffer.Bytes()); err != nil || request.closes {
			return
		}
	}
}

func respondTo(connection net.Conn, request head, body []byte) error {
	if taken, err := collect(connection, request, body); taken {
		return err
	}
	if strings.Contains(request.first, "/models ") {
		return write(connection, `{"object":"list","data":[{"id":"bench-model","object":"model","created":1790000000,"owned_by":"bench"}]}`)
	}
	if !strings.HasPrefix(request.first, "POST ") || !strings.Contains(request.first, "/chat/completions") {
		return write(connection, `{}`)
	}
	if at := bytes.Index(body, []byte("pattern=")); at >= 0 {
		name := string(body[at+len("pattern=") : at+len("pattern=")+5])
		for key, fail := range failures {
			if strings.HasPrefix(name, key) {
				return fail(connection)
			}
		}
		for key, arrival := range patterns {
			if strings.HasPrefix(name, key) {
				return stream(connection, arrival, bytes.Contains(body, []byte(`"include_usage":true`)))
			}
		}
	}
	return write(connection, completion)
}

func refuse(status, kind, code string) func(net.Conn) error {
	body := fmt.Sprintf(`{"error":{"message":"The upstream of the bench refuses this request.","type":%q,"param":null,"code":%q}}`, kind, code)
	return func(connection net.Conn) error { return respond(connection, status, "application/json", body) }
}

// reset closes the connection with RST in place of a response.
func reset(connection net.Conn) error {
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	return io.EOF
}

// cut begins a stream and closes the connection in the middle of it.
func cut(connection net.Conn) error {
	if _, err := connection.Write([]byte(streamHead + frames[0] + frames[1] + frames[2])); err != nil {
		return err
	}
	return io.EOF
}

func write(connection net.Conn, body string) error {
	return respond(connection, "200 OK", "application/json", body)
}

func respond(connection net.Conn, status, contentType, body string) error {
	_, err := connection.Write([]byte("HTTP/1.1 " + status + "\r\ncontent-type: " + contentType + "\r\nx-request-id: req_bench\r\ncontent-length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body))
	return err
}

const streamHead = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n"

func stream(connection net.Conn, arrival pattern, wantsUsage bool) error {
	if _, err := connection.Write([]byte(streamHead)); err != nil {
		return err
	}
	next := time.Now()
	group := make([]byte, 0, 4096)
	for sent := 0; sent < arrival.frames; {
		group = group[:0]
		for count := 0; count < arrival.together; count++ {
			group = append(group, frames[sent%len(frames)]...)
			sent++
		}
		if arrival.pause > 0 {
			next = next.Add(arrival.pause)
			time.Sleep(time.Until(next))
		}
		if _, err := connection.Write(group); err != nil {
			return err
		}
	}
	last := chunk(finish)
	if wantsUsage {
		last += chunk(usageChunk)
	}
	_, err := connection.Write([]byte(last + chunk("data: [DONE]\n\n") + "0\r\n\r\n"))
	return err
}

func chunk(text string) string {
	return fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
}

var chunkStart = fmt.Sprintf(`data: {"id":"chatcmpl-Bench0123456789abcdefghijklmn","object":"chat.completion.chunk","created":%d,"model":"bench-model","service_tier":"default","system_fingerprint":"fp_0123456789",`, created)

// frames differ: some servers take a model that repeats itself for broken and cut the stream.
var frames = func() (list []string) {
	for number := 0; number < 10; number++ {
		list = append(list, chunk(fmt.Sprintf("%s%s%d%s", chunkStart, `"choices":[{"index":0,"delta":{"content":" corral`, number,
			`"},"logprobs":null,"finish_reason":null}],"obfuscation":"aB3dE5gH"}`+"\n\n")))
	}
	return
}()

var (
	finish     = chunkStart + `"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"obfuscation":"aB3"}` + "\n\n"
	usageChunk = chunkStart + `"choices":[],"usage":{"prompt_tokens":25,"completion_tokens":200,"total_tokens":225}}` + "\n\n"
	completion = fmt.Sprintf(`{"id":"chatcmpl-Bench0123456789abcdefghijklmn","object":"chat.completion","created":%d,"model":"bench-model","choices":[{"index":0,"message":{"role":"assistant","content":"%s","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":25,"completion_tokens":60,"total_tokens":85,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_0123456789"}`,
		created, strings.TrimSpace(strings.Repeat("The horses stand in the corral. ", 16)))
)
