package harness

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// freePort asks the kernel for a loopback port that nothing listens on. The
// program that is to have it binds it a moment later; ports are handed out in
// turn, so nothing else is given the same one meanwhile.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
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
