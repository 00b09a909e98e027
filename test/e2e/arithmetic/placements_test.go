package arithmetic

import (
	"math/rand/v2"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A small world, so that selectors meet labels about as often as not.
var (
	labelKeys   = []string{"zone", "nvidia.com/gpu.product", "nvidia.com/gpu.count", "kubernetes.io/hostname", "rank"}
	labelValues = []string{"", "a", "b", "NVIDIA-L4", "0", "4", "8", "16", "007", "9223372036854775807", "9223372036854775808", "1.5"}
	nodeNames   = []string{"n1", "n2", "n3"}
	taintKeys   = []string{"nvidia.com/gpu", "dedicated", "node.kubernetes.io/unreachable"}
	taintValues = []string{"", "x", "y", "5", "10"}
	operators   = []v1.NodeSelectorOperator{v1.NodeSelectorOpIn, v1.NodeSelectorOpNotIn, v1.NodeSelectorOpExists,
		v1.NodeSelectorOpDoesNotExist, v1.NodeSelectorOpGt, v1.NodeSelectorOpLt}
	effects = []v1.TaintEffect{v1.TaintEffectNoSchedule, v1.TaintEffectNoExecute, v1.TaintEffectPreferNoSchedule}
)

func randomPlacement(r *rand.Rand) placement {
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: pick(r, nodeNames)}}
	if !maybe(r, 8) {
		node.Labels = randomLabels(r)
	}
	for range r.IntN(3) {
		node.Spec.Taints = append(node.Spec.Taints, v1.Taint{Key: pick(r, taintKeys), Value: pick(r, taintValues), Effect: pick(r, effects)})
	}
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u"}}
	if maybe(r, 4) {
		pod.Spec.NodeSelector = randomSelector(r, node)
	}
	if maybe(r, 2) {
		pod.Spec.Affinity = randomAffinity(r)
	}
	for range r.IntN(4) {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, randomToleration(r))
	}
	return placement{Pod: pod, Node: node}
}

// randomLabels gives most keys a value.
func randomLabels(r *rand.Rand) map[string]string {
	labels := map[string]string{}
	for _, key := range labelKeys {
		if !maybe(r, 4) {
			labels[key] = pick(r, labelValues)
		}
	}
	return labels
}

// randomSelector asks for what the node has about as often as for anything.
func randomSelector(r *rand.Rand, node *v1.Node) map[string]string {
	selector := map[string]string{}
	for _, key := range labelKeys {
		switch value, has := node.Labels[key]; {
		case has && maybe(r, 3):
			selector[key] = value
		case maybe(r, 12):
			selector[key] = pick(r, labelValues)
		}
	}
	return selector
}

func randomAffinity(r *rand.Rand) *v1.Affinity {
	affinity := &v1.NodeAffinity{}
	if !maybe(r, 10) {
		selector := &v1.NodeSelector{}
		for range r.IntN(4) {
			selector.NodeSelectorTerms = append(selector.NodeSelectorTerms, randomTerm(r))
		}
		affinity.RequiredDuringSchedulingIgnoredDuringExecution = selector
	}
	// Preferences never decide whether a pod may go somewhere.
	if maybe(r, 5) {
		affinity.PreferredDuringSchedulingIgnoredDuringExecution = []v1.PreferredSchedulingTerm{{Weight: 10, Preference: randomTerm(r)}}
	}
	return &v1.Affinity{NodeAffinity: affinity}
}

// randomTerm may be empty, which matches nothing.
func randomTerm(r *rand.Rand) v1.NodeSelectorTerm {
	term := v1.NodeSelectorTerm{}
	for range r.IntN(3) {
		term.MatchExpressions = append(term.MatchExpressions, randomRequirement(r))
	}
	if maybe(r, 5) {
		term.MatchFields = append(term.MatchFields, v1.NodeSelectorRequirement{
			Key:      metav1.ObjectNameField,
			Operator: pick(r, []v1.NodeSelectorOperator{v1.NodeSelectorOpIn, v1.NodeSelectorOpNotIn}),
			Values:   []string{pick(r, nodeNames)},
		})
	}
	return term
}

func randomRequirement(r *rand.Rand) v1.NodeSelectorRequirement {
	requirement := v1.NodeSelectorRequirement{Key: pick(r, labelKeys), Operator: pick(r, operators)}
	switch requirement.Operator {
	case v1.NodeSelectorOpIn, v1.NodeSelectorOpNotIn:
		for range 1 + r.IntN(4) {
			requirement.Values = append(requirement.Values, pick(r, labelValues))
		}
	case v1.NodeSelectorOpGt, v1.NodeSelectorOpLt:
		// Some are no integers, or none that fits: such a term matches nothing.
		requirement.Values = []string{pick(r, []string{"0", "3", "4", "7", "10", "008", "9223372036854775806", "9223372036854775808", "a", "1.5", "", "-1"})}
	}
	return requirement
}

func randomToleration(r *rand.Rand) v1.Toleration {
	toleration := v1.Toleration{
		Key:      pick(r, taintKeys),
		Operator: pick(r, []v1.TolerationOperator{"", v1.TolerationOpEqual, v1.TolerationOpExists, v1.TolerationOpLt, v1.TolerationOpGt}),
	}
	if toleration.Operator != v1.TolerationOpExists {
		toleration.Value = pick(r, taintValues)
	} else if maybe(r, 5) {
		toleration.Key = "" // tolerates everything
	}
	if maybe(r, 2) {
		toleration.Effect = pick(r, effects)
	}
	return toleration
}
