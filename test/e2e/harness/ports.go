package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// Ports below the range from which the kernel takes those of outgoing
// connections: a port that is free when it is picked is still free when the
// program that is to have it binds it, a moment later.
const (
	firstPort = 20000
	lastPort  = 29999
)

var nextPort = firstPort + os.Getpid()%(lastPort-firstPort)

// freePort returns a loopback port that nothing listens on; ports are handed
// out in turn.
func freePort() (int, error) {
	for range lastPort - firstPort {
		nextPort++
		if nextPort > lastPort {
			nextPort = firstPort
		}
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", nextPort))
		if err == nil {
			return nextPort, listener.Close()
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}

// freeAddresses returns n loopback addresses with free ports.
func freeAddresses(n int) ([]string, error) {
	addresses := make([]string, n)
	for i := range addresses {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		addresses[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	return addresses, nil
}

// waitOK polls url until it answers 200, the process ends or time is out.
func waitOK(ctx context.Context, client *http.Client, url string, p *Process, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	last := "no answer yet"
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			last = response.Status
		} else if ctx.Err() == nil {
			last = err.Error()
		}
		select {
		case <-p.Exited():
			return fmt.Errorf("%s ended while %s was awaited:\n%s", p.Name, url, p.Tail(30))
		case <-ctx.Done():
			return fmt.Errorf("%s: %s after %s (%s):\n%s", p.Name, url, patience, last, p.Tail(30))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
