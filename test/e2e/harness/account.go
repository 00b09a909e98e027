package harness

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
)

// inPod runs its arguments behind the first, in a mount namespace of their own
// where the first, a folder, stands where a pod's account is mounted.
const inPod = `run=$(readlink -f /var/run) && mount -t tmpfs run "$run" && mkdir -p "$run/secrets/kubernetes.io" &&
ln -s "$0" "$run/secrets/kubernetes.io/serviceaccount" && exec "$@"`

// mountedAccount is the account of a pod as its containers see it: a folder
// with the token and the API server's CA, whose files change all at once.
type mountedAccount struct {
	plane           *ControlPlane
	namespace, name string
	dir             string
	tokens          int
	token           string
	unshare         []string // nil: no mount namespaces on this machine
	kubeconfig      string   // what stands for the mounted folder then
}

func (c *ControlPlane) mountAccount(ctx context.Context, dir, namespace, name string) (*mountedAccount, error) {
	a := &mountedAccount{plane: c, namespace: namespace, name: name, dir: filepath.Join(dir, "serviceaccount")}
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return nil, err
	}
	if err := a.renew(ctx); err != nil {
		return nil, err
	}
	for _, file := range []string{"token", "ca.crt", "namespace"} {
		if err := os.Symlink(filepath.Join("..data", file), filepath.Join(a.dir, file)); err != nil {
			return nil, err
		}
	}
	for _, flags := range [][]string{{"--mount"}, {"--map-root-user", "--mount"}} {
		try := append(append([]string{"unshare"}, flags...), "sh", "-c", inPod, a.dir)
		if exec.Command(try[0], append(try[1:], "true")...).Run() == nil {
			a.unshare = try
			return a, nil
		}
	}
	a.kubeconfig = filepath.Join(dir, "kubeconfig")
	config := clientcmdapi.NewConfig()
	config.Clusters["e2e"] = &clientcmdapi.Cluster{Server: c.Server, CertificateAuthority: filepath.Join(a.dir, "ca.crt")}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{TokenFile: filepath.Join(a.dir, "token")}
	config.Contexts["e2e"] = &clientcmdapi.Context{Cluster: "e2e", AuthInfo: name}
	config.CurrentContext = "e2e"
	return a, clientcmd.WriteToFile(*config, a.kubeconfig)
}

// start runs a program as in the pod: all that it is told of the API server is
// the folder and two variables.
func (a *mountedAccount) start(dir, name string, env []string, path string, args ...string) (*Process, error) {
	if a.unshare == nil {
		if name == "kube-scheduler" {
			args = append(args, "--kubeconfig="+a.kubeconfig, "--authentication-kubeconfig="+a.kubeconfig, "--authorization-kubeconfig="+a.kubeconfig)
		}
		line := append(append([]string{"KUBECONFIG=" + a.kubeconfig}, env...), append([]string{path}, args...)...)
		return StartProcess(dir, name, "/usr/bin/env", line...)
	}
	server, err := url.Parse(a.plane.Server)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(server.Host)
	if err != nil {
		return nil, err
	}
	line := append([]string{"--unset=KUBECONFIG", "KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port}, env...)
	line = append(append(line, a.unshare...), path)
	return StartProcess(dir, name, "/usr/bin/env", append(line, args...)...)
}

// renew asks for a token as kubelet does, but bound to a Secret, so that it can
// be made worth nothing, and puts it in place as kubelet does.
func (a *mountedAccount) renew(ctx context.Context) error {
	a.tokens++
	secret := &v1.Secret{ObjectMeta: metav1.ObjectMeta{Name: a.secret(a.tokens)}}
	if _, err := a.plane.Client.CoreV1().Secrets(a.namespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return err
	}
	answer, err := a.plane.Client.CoreV1().ServiceAccounts(a.namespace).CreateToken(ctx, a.name,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			ExpirationSeconds: ptr.To[int64](3600),
			BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: secret.Name},
		}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("a token of %s: %w", a.name, err)
	}
	a.token = answer.Status.Token
	ca, err := os.ReadFile(a.plane.CAFile)
	if err != nil {
		return err
	}
	data := fmt.Sprintf("..%d", a.tokens)
	if err := os.MkdirAll(filepath.Join(a.dir, data), 0o755); err != nil {
		return err
	}
	for file, text := range map[string]string{"token": a.token, "ca.crt": string(ca), "namespace": a.namespace} {
		if err := os.WriteFile(filepath.Join(a.dir, data, file), []byte(text), 0o600); err != nil {
			return err
		}
	}
	next := filepath.Join(a.dir, "..data_tmp")
	if err := os.Symlink(data, next); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(a.dir, "..data"))
}

func (a *mountedAccount) secret(number int) string { return fmt.Sprintf("%s-token-%d", a.name, number) }

func (a *mountedAccount) rotate(ctx context.Context) error {
	old, secret := a.token, a.secret(a.tokens)
	if err := a.renew(ctx); err != nil {
		return err
	}
	if err := a.plane.Client.CoreV1().Secrets(a.namespace).Delete(ctx, secret, metav1.DeleteOptions{}); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: a.plane.Server, BearerToken: old, UserAgent: "berth", TLSClientConfig: rest.TLSClientConfig{CAFile: a.plane.CAFile}})
	if err != nil {
		return err
	}
	// The API server remembers for 10 s whom it has let in.
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if _, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: 1}); apierrors.IsUnauthorized(err) {
			return nil
		}
	}
	return fmt.Errorf("the API server still takes a token whose Secret is gone")
}
