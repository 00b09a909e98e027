package e2e

import (
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"berth.dev/e2e/harness"
)

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually asks until nothing is wrong any more, and fails with what still
// is wrong once patience is out.
func eventually(t *testing.T, patience time.Duration, ask func() []string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		wrong := ask()
		if len(wrong) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", patience, brief(wrong))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// brief shows the first of many complaints.
func brief(wrong []string) string {
	const most = 20
	if len(wrong) > most {
		return strings.Join(wrong[:most], "\n") + "\n…"
	}
	return strings.Join(wrong, "\n")
}

// fresh is a list of nodes and pods, taken now.
func fresh(t *testing.T) *harness.Snapshot {
	t.Helper()
	snapshot, err := plane.Snapshot(t.Context())
	must(t, err)
	return snapshot
}

func podNamed(t *testing.T, namespace, name string) *v1.Pod {
	t.Helper()
	pod, err := plane.Client.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	return pod
}

func notRunning(pods []*v1.Pod) []string {
	var wrong []string
	for _, pod := range pods {
		if pod.Status.Phase != v1.PodRunning {
			wrong = append(wrong, pod.Name+" is "+string(pod.Status.Phase))
		}
	}
	return wrong
}

// namespaceOf makes a namespace named after the test.
func namespaceOf(t *testing.T, suffix ...string) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	if len(name) > 50 {
		name = name[:50]
	}
	name = strings.Trim(name, "-") + strings.Join(suffix, "")
	must(t, plane.Namespace(t.Context(), name))
	return name
}
