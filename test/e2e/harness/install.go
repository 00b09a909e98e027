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

// Installed is what kubelet would run of the manifests: the containers of one
// pod of each Deployment as processes, with its flags, files, variables and
// account.
type Installed struct {
	Berth     *Berth
	Scheduler *Process
	Guard     *Process
	Policy    string // the file that stands for the mounted one

	plane     *ControlPlane
	dir       string
	listen    string // where kube-scheduler's file has to look for berth
	manifests Manifests
	berth     *installedPod
}

// installedPod is what the containers of one pod share.
type installedPod struct {
	*Installed
	deployment *appsv1.Deployment
	account    *mountedAccount
}

// StartInstalled starts berth, kube-scheduler and the guard as applied manifests
// say, with their pods' accounts as kubelet mounts them, on ports that are free.
// It returns once all containers' probes answer 200; what was started until an
// error came is in the result.
func (c *ControlPlane) StartInstalled(ctx context.Context, dir, berth string, all Manifests) (*Installed, error) {
	i := &Installed{plane: c, dir: dir, manifests: all}
	addresses, err := freeAddresses(4)
	if err != nil {
		return i, err
	}
	if i.berth, err = i.pod(ctx, "berth"); err != nil {
		return i, err
	}
	if err := i.berth.startBerth(ctx, berth, addresses[0], addresses[1]); err != nil {
		return i, err
	}
	if err := i.berth.startScheduler(ctx, addresses[0], addresses[2]); err != nil {
		return i, err
	}
	guard, err := i.pod(ctx, "berth-guard")
	if err != nil {
		return i, err
	}
	return i, guard.startGuard(ctx, berth, addresses[3])
}

// RotateToken gives berth's account a new token, and makes the old one worth
// nothing: it returns once the API server refuses that.
func (i *Installed) RotateToken(ctx context.Context) error { return i.berth.account.rotate(ctx) }

// pod is one of the Deployment, with its account mounted.
func (i *Installed) pod(ctx context.Context, name string) (*installedPod, error) {
	deployment, err := i.manifests.Deployment(name)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(i.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	account, err := i.plane.mountAccount(ctx, dir, deployment.Namespace, deployment.Spec.Template.Spec.ServiceAccountName)
	return &installedPod{i, deployment, account}, err
}

// startGuard reads the file that berth reads: both mount one ConfigMap.
func (i *installedPod) startGuard(ctx context.Context, binary, address string) error {
	container, args, err := i.container("guard")
	if err != nil {
		return err
	}
	if policy := value(args, "--policy"); policy != i.Policy {
		return fmt.Errorf("the guard reads %s, berth %s", policy, i.Policy)
	}
	if i.Guard, err = i.account.start(i.dir, "guard", nil, binary, atPort(args, "--listen", address)[1:]...); err != nil {
		return err
	}
	return probe(ctx, container, address, i.Guard)
}

func (i *installedPod) startBerth(ctx context.Context, binary, verbs, ops string) (err error) {
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
func (i *installedPod) startScheduler(ctx context.Context, verbs, secure string) error {
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
func (i *installedPod) container(name string) (*v1.Container, []string, error) {
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
func (i *installedPod) volume(name string) (string, error) {
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
