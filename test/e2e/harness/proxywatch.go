package harness

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"
)

// watch puts a watchBody in the place of a watch's answer.
func (p *Proxy) watch(response *http.Response) error {
	if !isWatch(response.Request) {
		return nil
	}
	if response.StatusCode == http.StatusGone {
		p.gone.Add(1)
	}
	if response.StatusCode != http.StatusOK {
		return nil
	}
	body := &watchBody{proxy: p, source: response.Body, chunks: make(chan chunk, 4096), ended: make(chan struct{})}
	p.mu.Lock()
	if p.mended != nil {
		p.mu.Unlock()
		return response.Body.Close()
	}
	p.watches[body] = struct{}{}
	p.mu.Unlock()
	go body.receive()
	response.Body = body
	return nil
}

// watchBody is a watch's stream on its way through the proxy: one goroutine
// takes the bytes as they come and notes when, Read hands them on when due.
type watchBody struct {
	proxy  *Proxy
	source io.ReadCloser
	chunks chan chunk
	rest   []byte
	once   sync.Once
	ended  chan struct{}
}

type chunk struct {
	data []byte
	came time.Time
}

func (b *watchBody) receive() {
	defer close(b.chunks)
	buffer := make([]byte, 32<<10)
	for {
		n, err := b.source.Read(buffer)
		if n > 0 {
			data := bytes.Clone(buffer[:n])
			if bytes.Contains(data, []byte(`"type":"ERROR"`)) && bytes.Contains(data, []byte(`"code":410`)) {
				b.proxy.gone.Add(1)
			}
			select {
			case b.chunks <- chunk{data, time.Now()}:
			case <-b.ended:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Read waits for the next bytes and then until they are as late as is set.
func (b *watchBody) Read(into []byte) (int, error) {
	if len(b.rest) == 0 {
		select {
		case next, open := <-b.chunks:
			if !open {
				return 0, io.EOF
			}
			lag := time.Duration(b.proxy.lag.Load())
			select {
			case <-time.After(time.Until(next.came.Add(lag))):
			case <-b.ended:
				return 0, io.ErrUnexpectedEOF
			}
			b.rest = next.data
		case <-b.ended:
			return 0, io.ErrUnexpectedEOF
		}
	}
	n := copy(into, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// cut breaks the stream in its middle, as a lost connection would.
func (b *watchBody) cut() {
	b.once.Do(func() {
		close(b.ended)
		b.source.Close()
	})
}

// Close is called by the reverse proxy when the client has gone.
func (b *watchBody) Close() error {
	b.proxy.mu.Lock()
	delete(b.proxy.watches, b)
	b.proxy.mu.Unlock()
	b.cut()
	return nil
}
