package harness

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
)

// Proxy stands between a client and an HTTP server: between berth and the API
// server, or between kube-scheduler and berth. It passes everything on until
// it is told to delay watches, to cut them, or to hold single requests.
type Proxy struct {
	URL string

	server *http.Server
	hook   atomic.Pointer[Hook]
	lag    atomic.Int64 // nanoseconds that a watch's bytes come late
	gone   atomic.Int64

	mu      sync.Mutex
	mended  chan struct{} // closed by MendWatches; nil while nothing is cut
	watches map[*watchBody]struct{}
	calls   map[string]int
}

// Hook sees each request before it is passed on. It may block; it may answer
// the request itself, which it says by returning true.
type Hook func(w http.ResponseWriter, r *http.Request) (answered bool)

// StartProxy passes requests on to target, by transport.
func StartProxy(target string, transport http.RoundTripper) (*Proxy, error) {
	address, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		URL:     "http://" + listener.Addr().String(),
		watches: map[*watchBody]struct{}{},
		calls:   map[string]int{},
	}
	forward := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(address) },
		Transport:      transport,
		FlushInterval:  -1,
		ModifyResponse: p.watch,
		// A server that is killed under a request looks to the client as it
		// would without the proxy: the connection breaks.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.server = &http.Server{Handler: p.handler(forward)}
	go p.server.Serve(listener)
	return p, nil
}

// StartAPIProxy serves the API server over plain HTTP with berth's token, so
// that nothing in the way needs to end TLS.
func (c *ControlPlane) StartAPIProxy() (*Proxy, error) {
	config := rest.CopyConfig(c.Admin)
	config.BearerToken = c.credentials.tokens[userBerth]
	// Without compression and HTTP/2 a watch's bytes can be read on their way.
	config.DisableCompression = true
	config.NextProtos = []string{"http/1.1"}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	return StartProxy(c.Server, transport)
}

func (p *Proxy) handler(forward http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.count(r)
		if hook := p.hook.Load(); hook != nil && (*hook)(w, r) {
			return
		}
		if isWatch(r) && !p.awaitMended(r.Context()) {
			return
		}
		forward.ServeHTTP(w, r)
	})
}

// SetHook sets what sees each request first; nil passes everything on.
func (p *Proxy) SetHook(hook Hook) {
	if hook == nil {
		p.hook.Store(nil)
		return
	}
	p.hook.Store(&hook)
}

// DelayWatches makes the bytes of every watch arrive late, in order, however
// many are under way; other answers pass promptly.
func (p *Proxy) DelayWatches(lag time.Duration) { p.lag.Store(int64(lag)) }

// CutWatches ends every open watch and keeps new ones waiting, without an
// answer, until MendWatches: a network that swallows packets looks like this.
func (p *Proxy) CutWatches() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mended == nil {
		p.mended = make(chan struct{})
	}
	for body := range p.watches {
		body.cut()
	}
}

// MendWatches lets watches through again, first those that have waited.
func (p *Proxy) MendWatches() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mended != nil {
		close(p.mended)
		p.mended = nil
	}
}

// awaitMended returns when watches are let through, false if the client has
// gone before.
func (p *Proxy) awaitMended(ctx context.Context) bool {
	p.mu.Lock()
	mended := p.mended
	p.mu.Unlock()
	if mended == nil {
		return true
	}
	select {
	case <-mended:
		return true
	case <-ctx.Done():
		return false
	}
}

// Gone counts the watches that were answered 410, by status or by an event.
func (p *Proxy) Gone() int64 { return p.gone.Load() }

// Calls counts the requests whose path ends in the given word.
func (p *Proxy) Calls(word string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[word]
}

func (p *Proxy) count(r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]++
}

// Close ends the proxy and every connection through it.
func (p *Proxy) Close() {
	p.SetHook(nil)
	p.CutWatches()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if p.server.Shutdown(ctx) != nil {
		p.server.Close()
	}
}

func isWatch(r *http.Request) bool {
	watch := r.URL.Query().Get("watch")
	return watch == "1" || watch == "true"
}
