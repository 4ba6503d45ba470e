package remote

import (
	"slices"
	"strings"
	"testing"
)

func shownLines(writes ...string) []string {
	var shown []string
	writer := &lineWriter{show: func(line string) { shown = append(shown, line) }}
	for _, data := range writes {
		_, _ = writer.Write([]byte(data))
	}
	writer.flush()
	return shown
}

func TestLinesAreShownWhole(t *testing.T) {
	got := shownLines("a\nb", "c\r\n\nlast")
	if want := []string{"a", "bc", "", "last"}; !slices.Equal(got, want) {
		t.Fatalf("shown %q; expected %q", got, want)
	}
}

func TestALongLineIsShownInPieces(t *testing.T) {
	line := strings.Repeat("x", 3*longestShownLine+1)
	got := shownLines(line+"\n", "end\n")
	if joined := strings.Join(got, ""); joined != line+"end" {
		t.Fatalf("shown %d bytes; expected %d", len(joined), len(line)+3)
	}
	if longest := slices.MaxFunc(got, func(a, b string) int { return len(a) - len(b) }); len(longest) > longestShownLine {
		t.Fatalf("a piece has %d bytes; expected at most %d", len(longest), longestShownLine)
	}
}

func TestAHostsTextCannotSteerATerminal(t *testing.T) {
	for text, want := range map[string]string{
		"no\x1b]52;c;cm0gLXJmIC8=\x07\tend\r\nnext": "no ]52;c;cm0gLXJmIC8= \tend \nnext",
		"\u009b2J\u202e\u2028\u200b\x00\x7f":        " 2J     ",
		"größe 日本":                                  "größe 日本",
		"\xff":                                      "\ufffd",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q: got %q; expected %q", text, got, want)
		}
	}
}
