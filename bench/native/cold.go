package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// runCold starts a program and prints how long it took to its first 200: process start, listening and responding together.
func runCold(args []string) {
	flags := flag.NewFlagSet("cold", flag.ExitOnError)
	address := flags.String("address", "", "host:port that it will listen on")
	path := flags.String("path", "/v1/health", "what to GET")
	_ = flags.Parse(args)
	command := exec.Command(flags.Arg(0), flags.Args()[1:]...)
	began := time.Now()
	if err := command.Start(); err != nil {
		fail("cannot start %s: %v", flags.Arg(0), err)
	}
	took, err := firstAnswer(*address, *path, began)
	_ = command.Process.Kill()
	_ = command.Wait()
	if err != nil {
		fail("%v", err)
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]float64{"ms": float64(took) / float64(time.Millisecond)})
}

func firstAnswer(address, path string, began time.Time) (time.Duration, error) {
	request := []byte("GET " + path + " HTTP/1.1\r\nhost: " + address + "\r\nconnection: close\r\n\r\n")
	for time.Since(began) < 60*time.Second {
		if status := get(address, request); strings.Contains(status, " 200") {
			return time.Since(began), nil
		}
		time.Sleep(500 * time.Microsecond)
	}
	return 0, fmt.Errorf("no response from %s%s within 60 s", address, path)
}

func get(address string, request []byte) string {
	connection, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return ""
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := connection.Write(request); err != nil {
		return ""
	}
	buffer := make([]byte, 64)
	count, _ := connection.Read(buffer)
	return string(buffer[:count])
}
