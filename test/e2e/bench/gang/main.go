// Command gang measures how fast gangs come from their creation to their last
// Binding, by kube-scheduler with berth, beside as many singles by
// kube-scheduler alone, and beside the mere writes that a gated gang takes; and
// singles on both schedulers.
package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"

	"berth.dev/e2e/bench"
	"berth.dev/e2e/harness"
)

// sizes are the gangs', in the order in which one run places them; the singles
// come last.
var sizes = []int{8, 64, 512}

const singles = 2000

func main() { bench.Main("gang", run) }

func run(ctx context.Context, controlPlane, berth, policy, config string) error {
	settings, err := bench.ReadSettings([]int{1000, 5000}, 5)
	if err != nil {
		return err
	}
	plain, own, writes := bench.Plain(config), bench.Berth(berth, policy, config), bench.Writes()
	fmt.Println("pods of 1 GPU; seconds to the last Binding from the first creation, and from the last one; CPU in ms a pod")
	fmt.Printf("%6s %5s %-6s %-8s %7s %7s %7s   %s\n", "nodes", "round", "side", "work", "first", "last", "pods/s", "CPU")
	var lines []string
	for _, nodes := range settings.Sizes {
		runs, err := measure(ctx, controlPlane, nodes, settings.Rounds, plain, own, writes)
		if err != nil {
			return fmt.Errorf("%d nodes: %w", nodes, err)
		}
		lines = append(lines, report(nodes, runs[plain], runs[own], runs[writes])...)
	}
	fmt.Println(strings.Join(lines, "\n"))
	return nil
}

// runs are the results of one side, by work and round.
type runs [][]*bench.Result

func measure(ctx context.Context, controlPlane string, nodes, rounds int, plain, own, writes *bench.Side) (map[*bench.Side]runs, error) {
	fleet, err := bench.StartFleet(ctx, controlPlane, nodes)
	if err != nil {
		return nil, err
	}
	defer fleet.Close()
	all := map[*bench.Side]runs{plain: make(runs, len(sizes)+1), own: make(runs, len(sizes)+1), writes: make(runs, len(sizes))}
	return all, bench.InTurn(rounds, []*bench.Side{plain, own, writes}, func(round int, side *bench.Side) error {
		results, err := fleet.Run(ctx, side, works(side != plain)[:len(all[side])]...)
		if err != nil {
			return err
		}
		for i, result := range results {
			all[side][i] = append(all[side][i], result)
			fmt.Printf("%6d %5d %-6s %-8s %7.3f %7.3f %7.1f  %s\n", nodes, round, side.Name, nameOf(i, side != plain),
				result.Bound.Seconds(), result.Afterwards().Seconds(), result.PerSecond(), shares(result))
		}
		return nil
	})
}

func works(gangs bool) []bench.Work {
	var all []bench.Work
	for _, size := range sizes {
		all = append(all, func(namespace string) []*v1.Pod { return makePods(namespace, size, gangs) })
	}
	return append(all, func(namespace string) []*v1.Pod { return makePods(namespace, singles, false) })
}

func nameOf(work int, gangs bool) string {
	switch {
	case work == len(sizes):
		return strconv.Itoa(singles)
	case gangs:
		return fmt.Sprintf("gang %d", sizes[work])
	}
	return strconv.Itoa(sizes[work])
}

// makePods makes singles, or one gang with its gates, as berth's admission
// policy would make it.
func makePods(namespace string, count int, gang bool) []*v1.Pod {
	var options []harness.PodOption
	if gang {
		options = append(options, harness.Annotated(map[string]string{
			"berth.dev/gang": fmt.Sprintf("gang-%d", count), "berth.dev/gang-size": strconv.Itoa(count), "berth.dev/class": "gang",
		}), func(pod *v1.Pod) { pod.Spec.SchedulingGates = []v1.PodSchedulingGate{{Name: "berth.dev/plan"}} })
	}
	pods := make([]*v1.Pod, count)
	for i := range pods {
		pods[i] = harness.Pod(namespace, fmt.Sprintf("pod-%d-%04d", count, i), 1, options...)
	}
	return pods
}

func shares(result *bench.Result) string {
	var text strings.Builder
	for _, share := range result.CPU {
		fmt.Fprintf(&text, " %s %.2f", share.Program, share.CPU.Seconds()*1000/float64(result.Pods))
	}
	return text.String()
}

func medianOf(results []*bench.Result, read func(*bench.Result) float64) float64 {
	values := make([]float64, len(results))
	for i, result := range results {
		values[i] = read(result)
	}
	return bench.Median(values)
}

func whole(r *bench.Result) float64 { return r.Bound.Seconds() }
func after(r *bench.Result) float64 { return r.Afterwards().Seconds() }

// report prints the medians and returns the RESULT lines.
func report(nodes int, plain, own, writes runs) []string {
	var lines []string
	say := func(name string, value float64, unit string) {
		lines = append(lines, fmt.Sprintf("RESULT %s_%d %.3f %s", name, nodes, value, unit))
	}
	for i, size := range sizes {
		was, is := medianOf(plain[i], after), medianOf(own[i], after)
		wasWhole, isWhole := medianOf(plain[i], whole), medianOf(own[i], whole)
		least := medianOf(writes[i], after)
		fmt.Printf("%6d medians, %d pods: plain %.3f s after the last creation, %.3f s in all; as a gang %.3f s and %.3f s, its writes alone %.3f s\n",
			nodes, size, was, wasWhole, is, isWhole, least)
		say(fmt.Sprintf("gang_%d_s", size), is, "s")
		say(fmt.Sprintf("gang_%d_ratio_plain", size), was/is, "ratio")
		say(fmt.Sprintf("gang_%d_whole_ratio_plain", size), wasWhole/isWhole, "ratio")
		say(fmt.Sprintf("gang_%d_ratio_writes", size), least/is, "ratio")
	}
	last := len(sizes)
	was, is := medianOf(plain[last], (*bench.Result).PerSecond), medianOf(own[last], (*bench.Result).PerSecond)
	fmt.Printf("%6d medians, %d singles: plain %.1f, berth %.1f pods/s\n", nodes, singles, was, is)
	say("singles_per_s", is, "pods/s")
	say("singles_ratio_plain", is/was, "ratio")
	return lines
}
