package arithmetic

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

func TestRandomQuantitiesAreWorthWhatParseQuantitySays(t *testing.T) {
	const cases = 10000
	seed := seed(t)
	documents, wanted := make([]any, cases), make([]any, cases)
	bad := 0
	for i := range cases {
		text := oddQuantity(i)
		if text == nil {
			made := randomQuantity(source(seed, i))
			text = &made
		}
		documents[i] = *text
		quantity, err := resource.ParseQuantity(*text)
		if err != nil {
			wanted[i] = map[string]string{"error": err.Error()}
			bad++
			continue
		}
		wanted[i] = map[string]int64{"value": quantity.Value(), "milli": quantity.MilliValue()}
	}
	if bad < cases/20 || bad > cases/2 {
		t.Errorf("%d of %d quantities are no quantities: the generator has lost its balance", bad, cases)
	}
	compare(t, "quantity", seed, documents, wanted)
}

// odd are the quantities that chance would seldom find.
var odd = []string{
	"", " ", "+", "-", ".", "1.", ".5", "+.5", "-.5", "--1", "+-1", "1..2", "0x10", "1_000", "NaN", "Inf", "e3", "E", "1E", "1e", "1EE",
	"1e3e3", "1Ki i", "1ki", "1KI", "1K", "1mi", "1Mi", "1 Gi", " 1Gi", "1Gi ", "1\n", "00", "-0", "+0", "0.0", "007", "0.000000001", "0.0000000001",
	"9223372036854775807", "9223372036854775808", "-9223372036854775807", "-9223372036854775808", "9223372036854775.807k",
	"9223372036854775.808k", "7Ei", "8Ei", "-8Ei", "9E", "10E", "-10E", "1e18", "1e19", "1e-9", "1e-10", "1e+3", "1E+3", "1E-3", "1e0",
	"0.1n", "1n", "999999999n", "1000000000n", "0.5m", "-0.5m", "1.1Ki", "0.1Ki", "0.0001Ki", "1.000000001Gi",
	"123456789012345678901234567890", "0.123456789012345678901234567890", "1e100", "1e-100", "-1e100", "१", "1½", "1µ",
}

func oddQuantity(i int) *string {
	if i >= len(odd) {
		return nil
	}
	return &odd[i]
}

func randomQuantity(r *rand.Rand) string {
	if maybe(r, 8) {
		return garbage(r)
	}
	var text strings.Builder
	text.WriteString(pick(r, []string{"", "", "", "", "", "+", "-"}))
	digits(r, &text, pick(r, []int{1, 2, 3, 5, 10, 18, 19, 25}))
	if maybe(r, 3) {
		text.WriteByte('.')
		digits(r, &text, pick(r, []int{0, 1, 2, 3, 6, 9, 12, 20}))
	}
	switch r.IntN(6) {
	case 0:
	case 1:
		// Three digits are the most: the exact arithmetic behind the real
		// parser takes as long as the number is wide.
		fmt.Fprintf(&text, "%s%s%d", pick(r, []string{"e", "E"}), pick(r, []string{"", "+", "-"}), r.IntN(pick(r, []int{10, 25, 120})))
	default:
		text.WriteString(pick(r, []string{"n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"}))
	}
	return text.String()
}

func digits(r *rand.Rand, text *strings.Builder, count int) {
	for range count {
		text.WriteByte(byte('0' + r.IntN(10)))
	}
}

func garbage(r *rand.Rand) string {
	alphabet := []rune("0123456789..++--eEnumkKMGTPi xµ")
	var text strings.Builder
	for range r.IntN(8) {
		text.WriteRune(pick(r, alphabet))
	}
	return text.String()
}
