// Command road measures how fast singles come from their creation to their
// Binding: kube-scheduler with berth beside kube-scheduler alone.
package main

import (
	"context"
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"

	"berth.dev/e2e/bench"
	"berth.dev/e2e/harness"
)

const singles = 2000

func main() { bench.Main("road", run) }

func run(ctx context.Context, controlPlane, berth, policy, config string) error {
	settings, err := bench.ReadSettings([]int{1000, 5000}, 5)
	if err != nil {
		return err
	}
	plain, own := bench.Plain(config), bench.Berth(berth, policy, config)
	fmt.Printf("%d pods of 1 GPU, from the first creation to the last Binding; CPU in ms a pod\n", singles)
	fmt.Printf("%6s %5s %-6s %7s %9s   %s\n", "nodes", "round", "side", "pods/s", "created/s", "CPU")
	var results []string
	for _, nodes := range settings.Sizes {
		rates, err := measure(ctx, controlPlane, nodes, settings.Rounds, plain, own)
		if err != nil {
			return fmt.Errorf("%d nodes: %w", nodes, err)
		}
		results = append(results, report(nodes, rates[plain], rates[own])...)
	}
	fmt.Println(strings.Join(results, "\n"))
	return nil
}

// measure returns the rates of each side's runs on one fleet.
func measure(ctx context.Context, controlPlane string, nodes, rounds int, sides ...*bench.Side) (map[*bench.Side][]float64, error) {
	fleet, err := bench.StartFleet(ctx, controlPlane, nodes)
	if err != nil {
		return nil, err
	}
	defer fleet.Close()
	rates := map[*bench.Side][]float64{}
	return rates, bench.InTurn(rounds, sides, func(round int, side *bench.Side) error {
		results, err := fleet.Run(ctx, side, work)
		if err != nil {
			return err
		}
		result := results[0]
		rates[side] = append(rates[side], result.PerSecond())
		fmt.Printf("%6d %5d %-6s %7.1f %9.1f  %s\n", nodes, round, side.Name, result.PerSecond(),
			singles/result.Created.Seconds(), shares(result))
		return nil
	})
}

func work(namespace string) []*v1.Pod {
	pods := make([]*v1.Pod, singles)
	for i := range pods {
		pods[i] = harness.Pod(namespace, fmt.Sprintf("single-%04d", i), 1)
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

// report prints the medians and the ratio of each pair, and returns the
// RESULT lines.
func report(nodes int, plain, own []float64) []string {
	pairs := make([]string, len(own))
	for i := range own {
		pairs[i] = fmt.Sprintf("%.2f", own[i]/plain[i])
	}
	was, is := bench.Median(plain), bench.Median(own)
	fmt.Printf("%6d medians: plain %.1f, berth %.1f pods/s; berth/plain by round: %s\n", nodes, was, is, strings.Join(pairs, " "))
	return []string{
		fmt.Sprintf("RESULT road_plain_per_s_%d %.1f pods/s", nodes, was),
		fmt.Sprintf("RESULT road_berth_per_s_%d %.1f pods/s", nodes, is),
		fmt.Sprintf("RESULT road_ratio_plain_%d %.2f ratio", nodes, is/was),
	}
}
