package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
)

// The mock upstream is a collector, too: it takes traces by OTLP over HTTP and protobuf, counts the spans and keeps nothing.
var collected struct {
	messages, spans, refused atomic.Int64
}

// collect serves an OTLP request, or one for the counts; false: it is neither.
func collect(connection net.Conn, request head, body []byte) (bool, error) {
	switch {
	case strings.HasPrefix(request.first, "POST /v1/traces "):
		spans, err := countSpans(body)
		if err != nil {
			collected.refused.Add(1)
			return true, respond(connection, "400 Bad Request", "text/plain", err.Error())
		}
		collected.messages.Add(1)
		collected.spans.Add(int64(spans))
		return true, respond(connection, "200 OK", "application/x-protobuf", "")
	case strings.HasPrefix(request.first, "POST /v1/metrics "):
		return true, respond(connection, "200 OK", "application/x-protobuf", "")
	case strings.HasPrefix(request.first, "GET /collected "):
		return true, write(connection, fmt.Sprintf(`{"messages":%d,"spans":%d,"refused":%d}`,
			collected.messages.Load(), collected.spans.Load(), collected.refused.Load()))
	default:
		return false, nil
	}
}

// countSpans decodes as much of an ExportTraceServiceRequest as it takes to know each span by its ids.
func countSpans(message []byte) (spans int, err error) {
	err = eachField(message, func(field uint64, resourceSpans []byte) error {
		if field != 1 {
			return nil
		}
		return eachField(resourceSpans, func(field uint64, scopeSpans []byte) error {
			if field != 2 {
				return nil
			}
			return eachField(scopeSpans, func(field uint64, span []byte) error {
				if field != 2 {
					return nil
				}
				spans++
				return checkIds(span)
			})
		})
	})
	return
}

func checkIds(span []byte) error {
	ids := [3]int{}
	err := eachField(span, func(field uint64, value []byte) error {
		if field < uint64(len(ids)) {
			ids[field] = len(value)
		}
		return nil
	})
	if err == nil && (ids[1] != 16 || ids[2] != 8) {
		return errors.New("a span without a trace id of 16 bytes and an id of 8")
	}
	return err
}

var errCut = errors.New("the protobuf is cut off or is none")

// eachField visits the fields of a message; value is that of a length-delimited one, else nil.
func eachField(message []byte, visit func(field uint64, value []byte) error) error {
	for len(message) > 0 {
		tag, size := binary.Uvarint(message)
		if size <= 0 {
			return errCut
		}
		message = message[size:]
		var value []byte
		length, rest := uint64(0), message
		switch tag & 7 {
		case 0:
			_, size = binary.Uvarint(message)
			if size <= 0 {
				return errCut
			}
			length = uint64(size)
		case 1:
			length = 8
		case 2:
			length, size = binary.Uvarint(message)
			if size <= 0 {
				return errCut
			}
			rest = message[size:]
		case 5:
			length = 4
		default:
			return errCut
		}
		if length > uint64(len(rest)) {
			return errCut
		}
		if tag&7 == 2 {
			value = rest[:length]
		}
		message = rest[length:]
		if err := visit(tag>>3, value); err != nil {
			return err
		}
	}
	return nil
}
