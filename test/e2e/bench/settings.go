package bench

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Settings are what the environment says of how long a benchmark is to be.
type Settings struct {
	Sizes  []int // BERTH_BENCH_SIZES: nodes of each fleet
	Rounds int   // BERTH_BENCH_ROUNDS: runs of each side
}

// ReadSettings reads them; sizes and rounds stand for what is not set.
func ReadSettings(sizes []int, rounds int) (Settings, error) {
	s := Settings{Sizes: sizes, Rounds: rounds}
	if text := os.Getenv("BERTH_BENCH_SIZES"); text != "" {
		s.Sizes = nil
		for _, field := range strings.Fields(text) {
			size, err := atLeastOne("BERTH_BENCH_SIZES", field)
			if err != nil {
				return s, err
			}
			s.Sizes = append(s.Sizes, size)
		}
	}
	if text := os.Getenv("BERTH_BENCH_ROUNDS"); text != "" {
		var err error
		if s.Rounds, err = atLeastOne("BERTH_BENCH_ROUNDS", text); err != nil {
			return s, err
		}
	}
	return s, nil
}

func atLeastOne(name, text string) (int, error) {
	value, err := strconv.Atoi(text)
	if err != nil || value < 1 {
		return 0, fmt.Errorf("%s: %q is no number of 1 or more", name, text)
	}
	return value, nil
}

// Median of values; the mean of the middle two where their number is even.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// InTurn calls do for each of the sides, round after round, and turns their
// order around each time, so that none always follows the other.
func InTurn(rounds int, sides []*Side, do func(round int, side *Side) error) error {
	order := slices.Clone(sides)
	for round := 1; round <= rounds; round++ {
		for _, side := range order {
			if err := do(round, side); err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
		}
		slices.Reverse(order)
	}
	return nil
}
