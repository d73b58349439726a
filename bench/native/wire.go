package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http/httputil"
	"strconv"
)

// head is what both sides need of an HTTP/1.1 message's head.
type head struct {
	first         string // request line or status line
	contentLength int    // -1: absent
	chunked       bool
	closes        bool
}

// readHead reads up to the empty line. Only what these two programs and the servers between them say is understood.
func readHead(reader *bufio.Reader) (head, error) {
	result := head{contentLength: -1}
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return result, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			if result.first == "" {
				continue
			}
			return result, nil
		}
		if result.first == "" {
			result.first = string(line)
			continue
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			return result, errors.New("a header without a colon")
		}
		name, value := line[:colon], bytes.TrimSpace(line[colon+1:])
		switch {
		case equalFold(name, "content-length"):
			result.contentLength, err = strconv.Atoi(string(value))
			if err != nil {
				return result, err
			}
		case equalFold(name, "transfer-encoding"):
			result.chunked = equalFold(value, "chunked")
		case equalFold(name, "connection"):
			result.closes = equalFold(value, "close")
		}
	}
}

func equalFold(value []byte, lower string) bool {
	return len(value) == len(lower) && bytes.EqualFold(value, []byte(lower))
}

// body is the reader of a message's body; nil where it ends with the connection.
func (h head) body(reader *bufio.Reader) io.Reader {
	switch {
	case h.chunked:
		return httputil.NewChunkedReader(reader)
	case h.contentLength >= 0:
		return io.LimitReader(reader, int64(h.contentLength))
	default:
		return nil
	}
}

// endOfChunks reads the empty line after the last chunk, which ChunkedReader leaves behind.
func endOfChunks(reader *bufio.Reader) error {
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return nil
		}
	}
}
