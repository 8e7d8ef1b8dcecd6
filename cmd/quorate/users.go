package main

import (
	"errors"
	"fmt"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/session"
)

// firstUsers returns the users that the configuration gives to a cluster which has none
// of its own, without passwords: those of its file of users, or its own lines. way is
// empty if there are none.
func firstUsers(conf *config.Config, data *command.Table[*call.Row]) (way string, lines []string, err error) {
	path, own := session.ACLFile(conf), conf.Users()
	from := acl.Source{File: path}
	switch {
	case path != "" && len(own) > 0:
		return "", nil, errors.New("users are in the configuration and in an aclfile as well: keep one of them")
	case path != "":
		way = engine.FirstFile
		if lines, err = session.ReadUsers(path); err != nil {
			return "", nil, fmt.Errorf("aclfile: %w", err)
		}
	case len(own) > 0:
		way, lines, from = engine.FirstConf, own, acl.Source{File: "user line", Conf: true}
	default:
		return "", nil, nil
	}
	defaults := acl.Defaults{AllChannels: conf.String("acl-pubsub-default") == "allchannels"}
	catalog := session.Catalog(data)
	if _, err := acl.Initial().Load(from, lines, defaults, catalog); err != nil {
		return "", nil, fmt.Errorf("users: %w", err)
	}
	return way, acl.HashedLines(lines), nil
}
