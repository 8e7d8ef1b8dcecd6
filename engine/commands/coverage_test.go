package commands_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/command/commandtest"
	"github.com/quorate/quorate/engine/commands"
	"github.com/quorate/quorate/engine/transcript"
)

// Every command has a transcript, and every option that COMMAND DOCS tells of it.
func TestEveryOptionHasATranscript(t *testing.T) {
	lines := transcript.Commands(t, "testdata/*/*.txt")
	for _, row := range commands.All() {
		name := strings.Split(row.Name, "|")
		given, called := argumentsOf(lines, name)
		if !called {
			t.Errorf("%s: no transcript", row.Name)
			continue
		}
		doc, ok := command.DocOf(row.Name)
		if !ok {
			t.Errorf("%s: not in docs.json", row.Name)
			continue
		}
		for _, option := range commandtest.Options(doc.Arguments) {
			if !given[option] {
				t.Errorf("%s: no transcript with %s", row.Name, option)
			}
		}
	}
}

// argumentsOf returns what is given to a command in any of the lines, in upper
// case, and whether it is called at all.
func argumentsOf(lines [][]string, name []string) (given map[string]bool, called bool) {
	given = make(map[string]bool)
	for _, words := range lines {
		if len(words) < len(name) || !slices.EqualFunc(words[:len(name)], name, strings.EqualFold) {
			continue
		}
		called = true
		for _, word := range words[len(name):] {
			given[strings.ToUpper(word)] = true
		}
	}
	return given, called
}
