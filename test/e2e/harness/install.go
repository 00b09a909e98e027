package harness

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
)

// Installed is what kubelet would run of the manifests: the containers of the
// Deployment's pod as processes, with its flags, files, variables and account.
type Installed struct {
	Berth     *Berth
	Scheduler *Process
	Policy    string // the file that stands for the mounted one

	plane      *ControlPlane
	dir        string
	account    *mountedAccount
	listen     string // where kube-scheduler's file has to look for berth
	manifests  Manifests
	deployment *appsv1.Deployment
}

// StartInstalled starts berth and kube-scheduler as applied manifests say, with
// the pod's account as kubelet mounts it, on ports that are free. It returns
// once both containers' probes answer 200; what was started until an error came
// is in the result.
func (c *ControlPlane) StartInstalled(ctx context.Context, dir, berth string, all Manifests) (*Installed, error) {
	deployment, err := all.Deployment()
	if err != nil {
		return nil, err
	}
	i := &Installed{plane: c, dir: dir, manifests: all, deployment: deployment}
	if i.account, err = c.mountAccount(ctx, dir, deployment.Namespace, deployment.Spec.Template.Spec.ServiceAccountName); err != nil {
		return i, err
	}
	addresses, err := freeAddresses(3)
	if err != nil {
		return i, err
	}
	if err := i.startBerth(ctx, berth, addresses[0], addresses[1]); err != nil {
		return i, err
	}
	return i, i.startScheduler(ctx, addresses[0], addresses[2])
}

// RotateToken gives the account a new token, and makes the old one worth
// nothing: it returns once the API server refuses that.
func (i *Installed) RotateToken(ctx context.Context) error { return i.account.rotate(ctx) }

func (i *Installed) startBerth(ctx context.Context, binary, verbs, ops string) (err error) {
	container, args, err := i.container("berth")
	if err != nil {
		return err
	}
	i.Policy, i.listen = value(args, "--policy"), value(args, "--listen")
	args = atPort(atPort(args, "--listen", verbs), "--listen-ops", ops)
	var env []string
	for _, variable := range container.Env {
		if source := variable.ValueFrom; source != nil {
			if source.FieldRef == nil || source.FieldRef.FieldPath != "metadata.namespace" {
				return fmt.Errorf("the harness does not know the source of %s", variable.Name)
			}
			variable.Value = i.deployment.Namespace
		}
		env = append(env, variable.Name+"="+variable.Value)
	}
	process, err := i.account.start(i.dir, "berth", env, binary, args[1:]...)
	if err != nil {
		return err
	}
	i.Berth = &Berth{Process: process, Verbs: "http://" + verbs, Ops: "http://" + ops, client: &http.Client{Timeout: 10 * time.Second}}
	return probe(ctx, container, ops, process)
}

// startScheduler leaves the file as it is, but for berth's port: it fights for
// its lease.
func (i *Installed) startScheduler(ctx context.Context, verbs, secure string) error {
	container, args, err := i.container("kube-scheduler")
	if err != nil {
		return err
	}
	path := value(args, "--config")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), i.listen, verbs)), 0o644); err != nil {
		return err
	}
	host, port := splitAddress(secure)
	args = append(args[1:], "--bind-address="+host, "--secure-port="+port, "--v=2")
	i.Scheduler, err = i.account.start(i.dir, "kube-scheduler", nil, i.plane.binary, append([]string{"kube-scheduler"}, args...)...)
	if err != nil {
		return err
	}
	return probe(ctx, container, secure, i.Scheduler)
}

// container returns a container of the pod and its command line, with its
// mounted ConfigMaps written to files and the paths to them changed.
func (i *Installed) container(name string) (*v1.Container, []string, error) {
	spec := &i.deployment.Spec.Template.Spec
	for n := range spec.Containers {
		container := &spec.Containers[n]
		if container.Name != name {
			continue
		}
		args := append(append([]string{}, container.Command...), container.Args...)
		for _, mount := range container.VolumeMounts {
			dir, err := i.volume(mount.Name)
			if err != nil {
				return nil, nil, err
			}
			for n := range args {
				args[n] = strings.ReplaceAll(args[n], mount.MountPath+"/", dir+"/")
			}
		}
		return container, args, nil
	}
	return nil, nil, fmt.Errorf("the pod has no container %s", name)
}

// volume writes the ConfigMap of a volume into a folder.
func (i *Installed) volume(name string) (string, error) {
	dir := filepath.Join(i.dir, name)
	for _, volume := range i.deployment.Spec.Template.Spec.Volumes {
		if volume.Name != name || volume.ConfigMap == nil {
			continue
		}
		config, err := i.manifests.ConfigMap(volume.ConfigMap.Name)
		if err != nil {
			return "", err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		for key, text := range config.Data {
			if err := os.WriteFile(filepath.Join(dir, key), []byte(text), 0o644); err != nil {
				return "", err
			}
		}
		return dir, nil
	}
	return "", fmt.Errorf("the pod has no volume %s with a ConfigMap", name)
}

// probe waits until both of a container's probes answer 200.
func probe(ctx context.Context, container *v1.Container, address string, process *Process) error {
	// kubelet does not check the certificate of what it probes either.
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	for _, probe := range []*v1.Probe{container.LivenessProbe, container.ReadinessProbe} {
		scheme := "http"
		if probe.HTTPGet.Scheme == v1.URISchemeHTTPS {
			scheme = "https"
		}
		if err := waitOK(ctx, client, scheme+"://"+address+probe.HTTPGet.Path, process, 30*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// value is what stands behind FLAG= on a command line.
func value(args []string, flag string) string {
	for _, arg := range args {
		if text, found := strings.CutPrefix(arg, flag+"="); found {
			return text
		}
	}
	return ""
}

// atPort gives a listener the port of address, and leaves it its own host.
func atPort(args []string, flag, address string) []string {
	_, port := splitAddress(address)
	changed := append([]string{}, args...)
	for n, arg := range changed {
		if text, found := strings.CutPrefix(arg, flag+"="); found {
			host, _ := splitAddress(text)
			changed[n] = flag + "=" + host + ":" + port
		}
	}
	return changed
}
