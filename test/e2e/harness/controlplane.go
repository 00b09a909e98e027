// Package harness runs a real control plane, an unmodified kube-scheduler and
// berth as processes of their own, plays what a test cluster lacks (kubelets,
// a provisioner), and reads back from the API server what came of it.
package harness

import (
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// ControlPlane is etcd, kube-apiserver and, unless it is bare, kube-controller-manager on loopback.
type ControlPlane struct {
	Dir    string // logs, keys and kubeconfigs
	Server string // https://127.0.0.1:PORT
	CAFile string
	Admin  *rest.Config
	Client kubernetes.Interface

	binary      string
	bare        bool
	gates       string // feature gates of the API server and of kube-scheduler, and
	apis        string // the APIs that are served besides
	etcdURL     string
	credentials *credentials

	Etcd, APIServer, Controllers *Process
}

// BuildControlPlane builds cmd/controlplane into path; the linker is skipped
// when the binary there is still the one that would come out.
func BuildControlPlane(module, path string) ([]byte, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./cmd/controlplane")
	build.Dir = module
	return build.CombinedOutput()
}

// StartControlPlane starts the three programs in order and returns when the
// API server answers /readyz and berth's role is in place.
func StartControlPlane(ctx context.Context, binary, dir string) (*ControlPlane, error) {
	return startControlPlane(ctx, &ControlPlane{binary: binary, Dir: dir})
}

// StartBareControlPlane starts one without controllers, for measurements: its
// nodes need no heartbeat and stay as they were created.
func StartBareControlPlane(ctx context.Context, binary, dir string) (*ControlPlane, error) {
	return startControlPlane(ctx, &ControlPlane{binary: binary, Dir: dir, bare: true})
}

// StartBareControlPlaneWith starts a bare one with feature gates, which its
// kube-schedulers have, too, and with APIs that are not served otherwise.
func StartBareControlPlaneWith(ctx context.Context, binary, dir, gates, apis string) (*ControlPlane, error) {
	return startControlPlane(ctx, &ControlPlane{binary: binary, Dir: dir, bare: true, gates: gates, apis: apis})
}

func startControlPlane(ctx context.Context, c *ControlPlane) (*ControlPlane, error) {
	addresses, err := freeAddresses(3)
	if err != nil {
		return nil, err
	}
	if c.credentials, err = newCredentials(c.Dir); err != nil {
		return nil, err
	}
	c.Server = "https://" + addresses[2]
	c.CAFile = filepath.Join(c.Dir, "apiserver-certs", "apiserver.crt")
	c.etcdURL = "http://" + addresses[0]
	if err := c.start(ctx, addresses[1], addresses[2]); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

func (c *ControlPlane) start(ctx context.Context, etcdPeer, apiserver string) (err error) {
	c.Etcd, err = StartProcess(c.Dir, "etcd", c.binary, "etcd",
		"--data-dir", filepath.Join(c.Dir, "etcd"), "--client-url", c.etcdURL, "--peer-url", "http://"+etcdPeer)
	if err != nil {
		return err
	}
	if err := waitOK(ctx, http.DefaultClient, c.etcdURL+"/health", c.Etcd, 30*time.Second); err != nil {
		return err
	}
	audit, err := c.auditArgs()
	if err != nil {
		return err
	}
	c.APIServer, err = StartProcess(c.Dir, "kube-apiserver", c.binary, append(c.apiServerArgs(apiserver), audit...)...)
	if err != nil {
		return err
	}
	if err := c.waitAPIServer(ctx); err != nil {
		return err
	}
	c.Admin = &rest.Config{
		Host:            c.Server,
		BearerToken:     c.credentials.tokens[userAdmin],
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.CAFile},
		QPS:             -1, // the tests are the load: nothing may throttle them
		ContentConfig:   rest.ContentConfig{ContentType: "application/vnd.kubernetes.protobuf", AcceptContentTypes: "application/vnd.kubernetes.protobuf,application/json"},
	}
	if c.Client, err = kubernetes.NewForConfig(c.Admin); err != nil {
		return err
	}
	if err := c.grantBerth(ctx); err != nil || c.bare {
		return err
	}
	return c.startControllers()
}

func (c *ControlPlane) apiServerArgs(address string) []string {
	host, port := splitAddress(address)
	// No pod here runs a program that would use a service account.
	disabled := "ServiceAccount"
	if c.bare {
		disabled += ",TaintNodesByCondition" // nobody would take the taint of a new node off
	}
	return append([]string{"kube-apiserver",
		"--etcd-servers=" + c.etcdURL,
		"--bind-address=" + host, "--secure-port=" + port,
		"--cert-dir=" + filepath.Dir(c.CAFile),
		"--token-auth-file=" + c.credentials.tokenFile,
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.credentials.serviceAccountKey,
		"--service-account-signing-key-file=" + c.credentials.serviceAccountKey,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--disable-admission-plugins=" + disabled,
	}, c.gateArgs("--runtime-config="+c.apis)...)
}

// gateArgs are the flags of a control plane with feature gates, and more ones.
func (c *ControlPlane) gateArgs(more ...string) []string {
	if c.gates == "" {
		return nil
	}
	return append([]string{"--feature-gates=" + c.gates}, more...)
}

func (c *ControlPlane) startControllers() (err error) {
	kubeconfig, err := c.Kubeconfig(userAdmin)
	if err != nil {
		return err
	}
	c.Controllers, err = StartProcess(c.Dir, "kube-controller-manager", c.binary, "kube-controller-manager",
		"--kubeconfig="+kubeconfig, "--leader-elect=false", "--secure-port=0",
		"--service-account-private-key-file="+c.credentials.serviceAccountKey,
		"--kube-api-qps=500", "--kube-api-burst=1000",
		// The kubelet player shares two cores with everything else: late is not dead.
		"--node-monitor-grace-period=120s",
		"--horizontal-pod-autoscaler-sync-period=1s")
	return err
}

func (c *ControlPlane) waitAPIServer(ctx context.Context) error {
	// Only the readiness of the process is asked here; every other client
	// checks the certificate against the CA file.
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer insecure.CloseIdleConnections()
	return waitOK(ctx, insecure, c.Server+"/readyz", c.APIServer, 90*time.Second)
}

// RestartAPIServer kills the API server, runs between, and starts it again. It
// is killed because a gentle end waits for every client to leave.
func (c *ControlPlane) RestartAPIServer(ctx context.Context, between func() error) error {
	c.APIServer.Kill()
	if err := between(); err != nil {
		return err
	}
	if err := c.APIServer.Start(); err != nil {
		return err
	}
	return c.waitAPIServer(ctx)
}

// Kubeconfig writes the kubeconfig of one user and returns its path.
func (c *ControlPlane) Kubeconfig(user string) (string, error) {
	path := filepath.Join(c.Dir, "kubeconfig-"+filepath.Base(user))
	return path, writeKubeconfig(path, c.Server, c.CAFile, user, c.credentials.tokens[user])
}

// Processes are the programs of the control plane, for their logs.
func (c *ControlPlane) Processes() []*Process {
	if c.bare {
		return []*Process{c.Etcd, c.APIServer}
	}
	return []*Process{c.Etcd, c.APIServer, c.Controllers}
}

// Stop ends everything at once: nothing of it is needed any more, and a gentle
// end of the API server would take its time.
func (c *ControlPlane) Stop() {
	for _, p := range []*Process{c.Controllers, c.APIServer, c.Etcd} {
		p.Kill()
	}
}
