package remote

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"unicode"
)

// longestShownLine bounds what waits for a line's end; a longer line is shown in pieces.
const longestShownLine = 64 << 10

// lineWriter calls show for every full line, at once.
type lineWriter struct {
	show    func(line string)
	pending []byte
}

func (writer *lineWriter) Write(data []byte) (int, error) {
	writer.pending = append(writer.pending, data...)
	for {
		end := bytes.IndexByte(writer.pending, '\n')
		switch {
		case end >= 0 && end <= longestShownLine:
			writer.show(strings.TrimSuffix(string(writer.pending[:end]), "\r"))
			writer.pending = writer.pending[end+1:]
		case len(writer.pending) > longestShownLine:
			writer.show(string(writer.pending[:longestShownLine]))
			writer.pending = writer.pending[longestShownLine:]
		default:
			return len(data), nil
		}
	}
}

// flush shows a last line that has no end.
func (writer *lineWriter) flush() {
	if len(writer.pending) > 0 {
		writer.show(string(writer.pending))
		writer.pending = nil
	}
}

// printable leaves of a host's text what cannot move a cursor, set a clipboard or hide; lines and tabs stay.
func printable(text string) string {
	return strings.Map(func(char rune) rune {
		if char != '\n' && char != '\t' && unicode.In(char, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return char
	}, text)
}

// lockedWriter lets stdout and stderr, which arrive on two goroutines, share one destination.
type lockedWriter struct {
	lock   sync.Mutex
	target io.Writer
}

func (writer *lockedWriter) Write(data []byte) (int, error) {
	writer.lock.Lock()
	defer writer.lock.Unlock()
	return writer.target.Write(data)
}
