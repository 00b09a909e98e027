package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Ports below the range from which the kernel takes those of outgoing
// connections: a port that is free when it is picked is still free when the
// program that is to have it binds it, a moment later. Each process of tests
// has a block of them for itself, so that what one of them kills finds its port
// free when it is started again.
const (
	firstPort     = 20000
	lastPort      = 29999
	portsPerBlock = 500
)

// ports are those of the process; as long as it lives it listens on the first,
// which says that the block is taken.
var ports struct {
	sync.Mutex
	claim             net.Listener
	first, last, next int
}

func claimPorts() error {
	for first := firstPort; first+portsPerBlock-1 <= lastPort; first += portsPerBlock {
		if claim, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first)); err == nil {
			ports.claim, ports.first, ports.last, ports.next = claim, first+1, first+portsPerBlock-1, first+1
			return nil
		}
	}
	return errors.New("no block of ports on 127.0.0.1 is free")
}

// freePort returns a loopback port that nothing listens on; ports are handed
// out in turn.
func freePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	if ports.claim == nil {
		if err := claimPorts(); err != nil {
			return 0, err
		}
	}
	for range ports.last - ports.first + 1 {
		port := ports.next
		if ports.next++; ports.next > ports.last {
			ports.next = ports.first
		}
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, listener.Close()
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
