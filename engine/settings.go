package engine

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
)

// setting is a cluster-wide configuration value.
type setting struct {
	get func(*call.Settings) string
	set func(*call.Settings, string) error
	// came is the semantic version that the setting came with; 0 means the first.
	came semantic.Version
	// act: there is no value to show, save or keep; setting it does something.
	act bool
}

// number is a setting between low and high.
func number(low, high int, field func(*call.Settings) *int) setting {
	return setting{
		get: func(s *call.Settings) string { return strconv.Itoa(*field(s)) },
		set: func(s *call.Settings, text string) error {
			n, err := strconv.Atoi(text)
			if err != nil || n < low || n > high {
				return fmt.Errorf("argument must be between %d and %d inclusive", low, high)
			}
			*field(s) = n
			return nil
		},
	}
}

// since is a setting that came with a semantic version.
func since(came semantic.Version, s setting) setting {
	s.came = came
	return s
}

// settings holds the cluster-wide settings by name, with redis-server's limits. A string
// is never longer than redis-server lets it be by default.
var settings = map[string]setting{
	"hash-max-listpack-entries": number(0, math.MaxInt64, func(s *call.Settings) *int { return &s.HashMaxListpackEntries }),
	"hash-max-listpack-value":   number(0, math.MaxInt64, func(s *call.Settings) *int { return &s.HashMaxListpackValue }),
	"list-max-listpack-size":    number(math.MinInt32, math.MaxInt32, func(s *call.Settings) *int { return &s.ListMaxListpackSize }),
	"set-max-intset-entries":    number(0, math.MaxInt64, func(s *call.Settings) *int { return &s.SetMaxIntsetEntries }),
	"zset-max-listpack-entries": number(0, math.MaxInt64, func(s *call.Settings) *int { return &s.ZsetMaxListpackEntries }),
	"zset-max-listpack-value":   number(0, math.MaxInt64, func(s *call.Settings) *int { return &s.ZsetMaxListpackValue }),
	"stream-node-max-bytes":     number(0, math.MaxInt64, func(s *call.Settings) *int { return &s.StreamNodeMaxBytes }),
	"stream-node-max-entries":   number(0, math.MaxInt64, func(s *call.Settings) *int { return &s.StreamNodeMaxEntries }),
	"hll-sparse-max-bytes":      number(0, math.MaxInt64, func(s *call.Settings) *int { return &s.HLLSparseMaxBytes }),
	"proto-max-bulk-len":        number(1<<20, 512<<20, func(s *call.Settings) *int { return &s.ProtoMaxBulkLen }),
	"lua-instructions-max":      number(1000, math.MaxInt32, func(s *call.Settings) *int { return &s.LuaInstructionsMax }),
	"lua-result-max":            since(semantic.Conversation, number(1<<10, math.MaxInt32, func(s *call.Settings) *int { return &s.LuaResultMax })),
	"lua-bytes-max":             number(1<<20, math.MaxInt32, func(s *call.Settings) *int { return &s.LuaBytesMax }),
	"debug-disable-deny-scripts": {
		get: func(s *call.Settings) string {
			if s.ScriptsMayCallAll {
				return "yes"
			}
			return "no"
		},
		set: func(s *call.Settings, text string) error {
			s.ScriptsMayCallAll = text == "yes"
			return nil
		},
	},
	"acl-pubsub-default": {
		get: func(s *call.Settings) string {
			if s.ACLPubsubAll {
				return "allchannels"
			}
			return "resetchannels"
		},
		set: func(s *call.Settings, text string) error {
			s.ACLPubsubAll = text == "allchannels"
			return nil
		},
		came: semantic.Conversation,
	},
	"maxmemory":                   since(semantic.Conversation, number(0, math.MaxInt64, func(s *call.Settings) *int { return &s.MaxMemory })),
	"maxmemory-samples":           since(semantic.Conversation, number(1, math.MaxInt32, func(s *call.Settings) *int { return &s.MaxMemorySamples })),
	"maxmemory-eviction-tenacity": since(semantic.Conversation, number(0, 100, func(s *call.Settings) *int { return &s.EvictionTenacity })),
	"lfu-log-factor":              since(semantic.Conversation, number(0, math.MaxInt32, func(s *call.Settings) *int { return &s.LFULogFactor })),
	"lfu-decay-time":              since(semantic.Conversation, number(0, math.MaxInt32, func(s *call.Settings) *int { return &s.LFUDecayMinutes })),
	"maxmemory-policy": {
		came: semantic.Conversation,
		get:  func(s *call.Settings) string { return s.MaxMemoryPolicy.String() },
		set: func(s *call.Settings, text string) error {
			policy, ok := call.ParsePolicy(text)
			if !ok {
				return errors.New("argument is not a policy of eviction")
			}
			s.MaxMemoryPolicy = policy
			return nil
		},
	},
	LoadUsers: {set: loadUsers, came: semantic.Conversation, act: true},
	"debug-active-expire": {
		came: semantic.Conversation,
		get: func(s *call.Settings) string {
			if s.KeepsDue {
				return "no"
			}
			return "yes"
		},
		set: func(s *call.Settings, text string) error {
			s.KeepsDue = text == "no"
			return nil
		},
	},
	"notify-keyspace-events": {
		get: func(s *call.Settings) string { return s.NotifyKeyspaceEvents.String() },
		set: func(s *call.Settings, text string) error {
			events, ok := call.ParseEvents(text)
			if !ok {
				return reply.Error("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
			}
			s.NotifyKeyspaceEvents = events
			return nil
		},
	},
}

// Setting returns the value of a cluster-wide setting as CONFIG GET shows it.
func (e *Engine) Setting(name string) (value string, ok bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	s, ok := settings[name]
	if !ok || s.act {
		return "", false
	}
	return s.get(&e.settings), true
}

// SettingCame returns the semantic version that a cluster-wide setting came with.
func SettingCame(name string) semantic.Version { return settings[name].came }

// AllSettings returns all cluster-wide settings by name.
func (e *Engine) AllSettings() map[string]string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	all := make(map[string]string, len(settings))
	for name, s := range settings {
		if !s.act {
			all[name] = s.get(&e.settings)
		}
	}
	return all
}

// Set changes settings: names and values alternate in pairs. Either all are
// set or, with an error that names the first bad one, none.
func (s *Step) Set(pairs [][]byte) error {
	if len(pairs) == 0 {
		return nil
	}
	changed := s.engine.settings
	if err := change(&changed, pairs, s.engine.env.Semantic); err != nil {
		return err
	}
	for _, text := range pairs {
		s.Chain().Note(noteSetting, 0, text, nil)
	}
	if changed.Users != s.engine.settings.Users {
		effects{s.engine}.SetUsers(changed.Users)
	}
	s.engine.settings = changed
	s.engine.followLimit()
	s.engine.resettled = true
	return nil
}

// CheckSettings returns the error that Set would give for these pairs while a
// semantic version is in force.
func CheckSettings(pairs [][]byte, inForce semantic.Version) error {
	s := call.DefaultSettings()
	return change(&s, pairs, inForce)
}

// change sets what pairs say, in pairs' order, up to the first bad one.
func change(s *call.Settings, pairs [][]byte, inForce semantic.Version) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		name := string(pairs[i])
		known, ok := settings[name]
		if !ok || known.came > inForce {
			return fmt.Errorf("%s is not a cluster-wide setting", name) // or not yet: sessions say so
		}
		if err := known.set(s, string(pairs[i+1])); err != nil {
			return fmt.Errorf("CONFIG SET failed (possibly related to argument '%s') - %w", name, err)
		}
	}
	return nil
}
