// Package arithmetic holds berth's arithmetic against the code that
// Kubernetes itself uses: what a pod asks for, what a quantity is worth, which
// nodes a pod may go to. It needs no control plane, only berth's probe.
package arithmetic

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// defaultSeed makes every run the same run; ARITHMETIC_SEED makes another.
const defaultSeed = 20260801

// mostMismatches is how many a test prints before it gives up.
const mostMismatches = 10

func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("ARITHMETIC_SEED")
	if text == "" {
		return defaultSeed
	}
	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("ARITHMETIC_SEED: %v", err)
	}
	return value
}

// source gives each case a stream of its own, so that one case can be made
// again without those before it.
func source(seed uint64, index int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(index)))
}

// compare gives the documents to the probe, one a line, and holds each answer
// against the one wanted, as JSON values.
func compare(t *testing.T, mode string, seed uint64, documents, wanted []any) {
	t.Helper()
	answers := probe(t, mode, documents)
	mismatches := 0
	for i := range documents {
		want := canonical(t, encode(t, wanted[i]))
		if got := canonical(t, answers[i]); !bytes.Equal(got, want) {
			t.Errorf("seed %d, case %d\ndocument %s\nwanted   %s\nanswered %s", seed, i, encode(t, documents[i]), want, answers[i])
			if mismatches++; mismatches == mostMismatches {
				t.Fatal("and perhaps more")
			}
		}
	}
}

// probe runs berth's probe once over all documents.
func probe(t *testing.T, mode string, documents []any) [][]byte {
	t.Helper()
	var input bytes.Buffer
	for _, document := range documents {
		input.Write(encode(t, document))
		input.WriteByte('\n')
	}
	command := exec.Command(probeBinary(t), mode)
	command.Stdin = &input
	var output, complaints bytes.Buffer
	command.Stdout, command.Stderr = &output, &complaints
	if err := command.Run(); err != nil {
		t.Fatalf("probe %s: %v\n%s", mode, err, complaints.Bytes())
	}
	var lines [][]byte
	scanner := bufio.NewScanner(&output)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		lines = append(lines, bytes.Clone(scanner.Bytes()))
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	if len(lines) != len(documents) {
		t.Fatalf("probe %s answered %d lines to %d documents", mode, len(lines), len(documents))
	}
	return lines
}

func probeBinary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("BERTH_PROBE")
	if path == "" {
		path = "../../../build/test/probe"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no probe at %s: build it, or set BERTH_PROBE", path)
	}
	return path
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// canonical sorts the keys and keeps the digits of every number. An error is
// an error whatever its text.
func canonical(t *testing.T, line []byte) []byte {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		t.Fatalf("the probe answered %q: %v", line, err)
	}
	if _, failed := object["error"]; failed {
		return []byte(`{"error"}`)
	}
	return encode(t, object)
}
