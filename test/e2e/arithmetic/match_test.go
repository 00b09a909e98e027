package arithmetic

import (
	"encoding/json"
	"testing"

	v1 "k8s.io/api/core/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	v1helper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/features"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/helper"
)

// placement is one case: may this pod go to this node?
type placement struct {
	Pod  *v1.Pod  `json:"pod"`
	Node *v1.Node `json:"node"`
}

// verdict is the answer, as the NodeAffinity and TaintToleration plugins of
// kube-scheduler come to it.
type verdict struct {
	Selector  bool `json:"selector"`
	Tolerates bool `json:"tolerates"`
}

func TestRandomPlacementsAreJudgedAsKubeSchedulerJudgesThem(t *testing.T) {
	const cases = 5000
	seed := seed(t)
	documents, wanted := make([]any, cases), make([]any, cases)
	count := map[verdict]int{}
	for i := range cases {
		document := encode(t, randomPlacement(source(seed, i)))
		var p placement
		if err := json.Unmarshal(document, &p); err != nil {
			t.Fatal(err)
		}
		v := judge(p)
		documents[i], wanted[i] = json.RawMessage(document), v
		count[v]++
	}
	for _, v := range []verdict{{false, false}, {false, true}, {true, false}, {true, true}} {
		if count[v] < cases/20 {
			t.Errorf("only %d of %d cases come to %+v: the generator has lost its balance", count[v], cases, v)
		}
	}
	compare(t, "match", seed, documents, wanted)
}

func judge(p placement) verdict {
	// A selector that is no selector matches nothing; the plugin drops the
	// error as well.
	selector, _ := nodeaffinity.GetRequiredNodeAffinity(p.Pod).Match(p.Node)
	// The complaints about values that are no numbers are not for the test's log.
	_, untolerated := v1helper.FindMatchingUntoleratedTaint(klog.Logger{}, p.Node.Spec.Taints, p.Pod.Spec.Tolerations,
		helper.DoNotScheduleTaintsFilterFunc(),
		utilfeature.DefaultFeatureGate.Enabled(features.TaintTolerationComparisonOperators))
	return verdict{Selector: selector, Tolerates: !untolerated}
}
