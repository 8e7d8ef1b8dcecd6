package command_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
)

func TestWriteDocs(t *testing.T) {
	table := command.NewTable([]*command.Spec{
		{Name: "object", Group: command.Generic},
		{Name: "object|help", Group: command.Generic},
		{Name: "getset", Group: command.String},
		{Name: "bgsave", Group: command.Server},
		{Name: "nosuch", Group: command.Server},
	}, func(s *command.Spec) *command.Spec { return s })
	for name, want := range map[string]string{
		"object": "$6|object|%5|$7|summary|$35|Commands about how values are held.|$5|since|$5|2.2.3|" +
			"$5|group|$7|generic|$10|complexity|$22|that of the subcommand|$11|subcommands|%1|$11|object|help|%4|" +
			"$7|summary|$22|Lists the subcommands.|$5|since|$5|6.2.0|$5|group|$7|generic|$10|complexity|$4|O(1)|",
		"getset": "$6|getset|%8|$7|summary|$41|Sets a string and returns the one before.|$5|since|$5|1.0.0|" +
			"$5|group|$6|string|$10|complexity|$4|O(1)|$9|doc_flags|~1|+deprecated|$16|deprecated_since|$5|6.2.0|" +
			"$11|replaced_by|$12|SET with GET|$9|arguments|*2|%3|$4|name|$3|key|$4|type|$3|key|$14|key_spec_index|:0|" +
			"%2|$4|name|$5|value|$4|type|$6|string|",
		"bgsave": "$6|bgsave|%6|$7|summary|$36|Starts a snapshot in the background.|$5|since|$5|1.0.0|" +
			"$5|group|$6|server|$10|complexity|$4|O(1)|$7|history|~1|*2|$5|3.2.2|$15|Takes SCHEDULE.|$9|arguments|*1|%5|" +
			"$4|name|$8|schedule|$4|type|$10|pure-token|$5|token|$8|SCHEDULE|$5|since|$5|3.2.2|$5|flags|~1|+optional|",
		"nosuch": "$6|nosuch|%1|$5|group|$6|server|",
	} {
		out := reply.NewWriter(reply.RESP3, nil)
		table.WriteDocs(out, name)
		if got := strings.ReplaceAll(string(out.Bytes()), "\r\n", "|"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

// A field that nobody reads would say nothing.
func TestDocsHaveNoOtherFields(t *testing.T) {
	file, err := os.Open("docs.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d := json.NewDecoder(file)
	d.DisallowUnknownFields()
	var all map[string]*command.Doc
	if err := d.Decode(&all); err != nil {
		t.Error(err)
	}
}
