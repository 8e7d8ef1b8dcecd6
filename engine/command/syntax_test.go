package command

import "testing"

func TestSyntax(t *testing.T) {
	for name, want := range map[string]string{
		"acl|cat":               "[<categoryname>]",
		"acl|log":               "[<count>|RESET]",
		"client|reply":          "(ON|OFF|SKIP)",
		"cluster|addslotsrange": "<start-slot> <end-slot> [<start-slot> <end-slot> ...]",
		"cluster|setslot":       "<slot> (IMPORTING <node-id>|MIGRATING <node-id>|NODE <node-id>|STABLE)",
		"client|tracking":       "(ON|OFF) [REDIRECT <client-id>] [PREFIX <prefix> [PREFIX <prefix> ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
		"memory|usage":          "<key> [SAMPLES <count>]",
		"slowlog|reset":         "",
	} {
		doc, ok := DocOf(name)
		if !ok {
			t.Errorf("%s has no documentation", name)
			continue
		}
		if got := doc.Syntax(); got != want {
			t.Errorf("%s %s, want %s", name, got, want)
		}
	}
}
