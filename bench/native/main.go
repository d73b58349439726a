// The native half of the bench: a mock upstream that is a trace collector as well, a load generator and a cold-start clock, one program without dependencies.
// A JavaScript generator would saturate before the servers that it measures; this one costs a fraction of theirs.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	switch os.Args[1] {
	case "mock":
		runMock(os.Args[2:])
	case "load":
		runLoad(os.Args[2:])
	case "cold":
		runCold(os.Args[2:])
	default:
		usage()
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: native mock | load | cold (flags: -h)")
	os.Exit(2)
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}
