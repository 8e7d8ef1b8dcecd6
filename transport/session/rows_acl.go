package session

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/config"
)

var aclRows = []row{
	containerRow("acl", command.Server),
	aclRow("cat", -2, noScript, aclCat),
	aclRow("dryrun", -4, adminOnly, aclDryRun),
	aclRow("genpass", -2, noScript, aclGenPass),
	aclRow("getuser", 3, adminOnly, fresh(aclGetUser)),
	aclRow("help", 2, anytime, help("acl")),
	aclRow("list", 2, adminOnly, fresh(aclList)),
	aclRow("load", 2, adminOnly, aclLoad),
	aclRow("log", -2, adminOnly, aclLogCommand),
	aclRow("save", 2, adminOnly, fresh(aclSave)),
	aclRow("users", 2, adminOnly, fresh(aclUsers)),
	aclRow("whoami", 2, noScript, func(s *Session, r *request) { r.out.BulkString(s.user.Name) }),
}

func aclRow(name string, arity int, flags command.Flags, do func(*Session, *request)) row {
	r := row{Spec: command.Spec{Name: "acl|" + name, Arity: arity, Flags: flags, Group: command.Server}, do: do}
	r.looks = name == "load" // before the commands of its transaction
	return r
}

// fresh executes a command on users as of now, in the whole cluster.
func fresh(do func(*Session, *request)) func(*Session, *request) {
	return func(s *Session, r *request) {
		if !r.inTx { // there the log has come to the transaction
			if err := s.barrier(); err != "" {
				r.fail(err)
				return
			}
		}
		do(s, r)
	}
}

// aclCat: ACL CAT [category]. The container commands have their categories too.
func aclCat(s *Session, r *request) {
	if len(r.args) > 3 {
		r.fail(reply.SubcommandSyntax("ACL", r.args[1]))
		return
	}
	var names []string
	if len(r.args) == 2 {
		names = command.AllCategories.Names()
	} else {
		category, ok := command.ParseCategory(strings.ToLower(string(r.args[2])))
		if !ok {
			r.fail(reply.Error(fmt.Sprintf("ERR Unknown category '%.128s'", reply.CText(r.args[2]))))
			return
		}
		names = s.srv.users.catalog.In(category)
	}
	writeStrings(r.out, names)
}

func writeStrings(out *reply.Writer, texts []string) {
	out.Array(len(texts))
	for _, text := range texts {
		out.BulkString(text)
	}
}

func aclUsers(s *Session, r *request) {
	var names []string
	for _, u := range s.srv.users.view().list.All() {
		names = append(names, u.Name)
	}
	writeStrings(r.out, names)
}

func aclList(s *Session, r *request) {
	writeStrings(r.out, s.srv.users.catalog.Lines(s.srv.users.view().list))
}

// aclGetUser: ACL GETUSER name.
func aclGetUser(s *Session, r *request) {
	u := s.srv.users.view().list.Get(string(r.args[2]))
	if u == nil {
		r.out.Null()
		return
	}
	r.out.Map(6)
	r.out.BulkString("flags")
	flags := u.Flags.Names()
	r.out.Set(len(flags))
	for _, flag := range flags {
		r.out.BulkString(flag)
	}
	r.out.BulkString("passwords")
	writeStrings(r.out, u.Passwords)
	s.writeSelector(r.out, &u.Selectors[0])
	r.out.BulkString("selectors")
	r.out.Array(len(u.Selectors) - 1)
	for i := range u.Selectors[1:] {
		r.out.Map(3)
		s.writeSelector(r.out, &u.Selectors[i+1])
	}
}

// writeSelector writes three fields.
func (s *Session) writeSelector(out *reply.Writer, sel *acl.Selector) {
	out.BulkString("commands")
	out.BulkString(s.srv.users.catalog.CommandsText(sel))
	out.BulkString("keys")
	out.BulkString(sel.KeysText())
	out.BulkString("channels")
	out.BulkString(sel.ChannelsText())
}

// aclDryRun: ACL DRYRUN name command [arg ...].
func aclDryRun(s *Session, r *request) {
	v := s.srv.users.view()
	u := v.list.Get(string(r.args[2]))
	if u == nil {
		r.fail(reply.Error("ERR User '" + string(reply.CText(r.args[2])) + "' not found"))
		return
	}
	e, args, _, ok := s.srv.find(r.args[3:])
	switch {
	case !ok:
		r.fail(reply.Error("ERR Command '" + string(reply.CText(args[0])) + "' not found"))
		return
	case !e.TakesArgs(len(args)):
		r.fail(reply.Error("ERR wrong number of arguments for '" + e.Name + "' command"))
		return
	}
	switch why, at := v.accessOf(u).Check(e.id, args); why {
	case acl.Allowed:
		r.out.OK()
	case acl.DeniedCommand:
		r.out.BulkString("This user has no permissions to run the '" + e.Name + "' command")
	case acl.DeniedKey:
		r.out.BulkString("This user has no permissions to access the '" + string(args[at]) + "' key")
	default:
		r.out.BulkString("This user has no permissions to access the '" + string(args[at]) + "' channel")
	}
}

// aclGenPass: ACL GENPASS [bits].
func aclGenPass(_ *Session, r *request) {
	const bitsMax = 4096
	bits := int64(256)
	switch {
	case len(r.args) > 3:
		r.fail(reply.SubcommandSyntax("ACL", r.args[1]))
		return
	case len(r.args) == 3:
		var ok bool
		if bits, ok = call.ParseInt(r.args[2]); !ok {
			r.fail(reply.ErrNotInteger)
			return
		}
	}
	if bits <= 0 || bits > bitsMax {
		r.fail(reply.Error(fmt.Sprintf("ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to %d", bitsMax)))
		return
	}
	var random [bitsMax / 8]byte
	_, _ = rand.Read(random[:]) // never fails
	r.out.BulkString(hex.EncodeToString(random[:])[:(bits+3)/4])
}

// aclLogCommand: ACL LOG [count | RESET], of this node.
func aclLogCommand(s *Session, r *request) {
	count := int64(10)
	switch {
	case len(r.args) > 3:
		r.fail(reply.SubcommandSyntax("ACL", r.args[1]))
		return
	case len(r.args) == 3 && strings.EqualFold(string(r.args[2]), "reset"):
		s.srv.aclLog.reset()
		r.out.OK()
		return
	case len(r.args) == 3:
		var ok bool
		if count, ok = call.ParseInt(r.args[2]); !ok {
			r.fail(reply.ErrNotInteger)
			return
		}
	}
	entries, now := s.srv.aclLog.newest(count), s.srv.now()
	r.out.Array(len(entries))
	for _, e := range entries {
		r.out.Map(7)
		r.out.BulkString("count")
		r.out.Int(e.count)
		for _, field := range [][2]string{{"reason", e.reason.String()}, {"context", e.context}, {"object", e.object}, {"username", e.user}} {
			r.out.BulkString(field[0])
			r.out.BulkString(field[1])
		}
		r.out.BulkString("age-seconds")
		r.out.Double(float64(now.Sub(e.at).Milliseconds()) / 1000)
		r.out.BulkString("client-info")
		r.out.BulkString(e.client)
	}
}

// sealSetUser checks an ACL SETUSER, and returns it as it may go into the log: without
// passwords. What it can't know is checked once more where it is applied.
func sealSetUser(s *Session, args [][]byte, inTx bool) ([][]byte, reply.Error) {
	name := string(args[2])
	if !acl.ValidName(name) {
		return nil, reply.ErrUserName
	}
	rules, err := acl.Merge(stringsOf(args[3:]))
	switch {
	case err != nil:
	case inTx: // what comes before it may yet make the user to whom it applies
		err = s.srv.users.catalog.Check(rules)
	default:
		users := s.srv.users.view().list
		_, err = users.Set(name, rules, s.srv.aclDefaults(), s.srv.users.catalog)
	}
	if err != nil {
		return nil, reply.Error("ERR " + err.Error())
	}
	return s.srv.setUserArgs(args[:3], rules), ""
}

// setUserArgs returns an ACL SETUSER for the log; head is all before the rules. A password of the default user that is
// this node's alone becomes the cluster's with the first rule on passwords.
func (s *Server) setUserArgs(head [][]byte, rules []string) [][]byte {
	if hash := s.users.requires.Load(); string(head[2]) == acl.Default && hash != nil && !s.users.engine.Users().Settled() && aboutPasswords(rules) {
		rules = append([]string{"#" + *hash}, rules...)
	}
	sealed := slices.Clone(head)
	for _, rule := range acl.Hashed(rules) {
		sealed = append(sealed, []byte(rule))
	}
	return sealed
}

// aboutPasswords reports whether one of the rules concerns passwords.
func aboutPasswords(rules []string) bool {
	for _, rule := range rules {
		switch word := strings.ToLower(rule); {
		case word == "nopass", word == "resetpass", word == "reset", word != "" && strings.Contains(">#<!", word[:1]):
			return true
		}
	}
	return false
}

func (s *Server) aclDefaults() acl.Defaults {
	value, _ := s.opts.Engine.Setting("acl-pubsub-default")
	return acl.Defaults{AllChannels: value == "allchannels"}
}

// sealDelUser has nothing to hide.
func sealDelUser(_ *Session, args [][]byte, _ bool) ([][]byte, reply.Error) { return args, "" }

func stringsOf(args [][]byte) []string {
	texts := make([]string, len(args))
	for i, arg := range args {
		texts[i] = string(arg)
	}
	return texts
}

const errNoACLFile reply.Error = "ERR This Redis instance is not configured to use an ACL file. " +
	"You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE " +
	"(assuming you have a Redis configuration file set) in order to store users in the Redis configuration."

// aclLoad: ACL LOAD makes the users of this node's aclfile those of the cluster.
func aclLoad(s *Session, r *request) {
	path := ACLFile(s.srv.opts.Config)
	if path == "" {
		r.fail(errNoACLFile)
		return
	}
	lines, err := ReadUsers(path)
	if err == nil {
		from := acl.Source{File: path}
		_, err = s.srv.users.view().list.Load(from, lines, s.srv.aclDefaults(), s.srv.users.catalog)
	}
	if err != nil {
		r.fail(reply.Error("ERR " + err.Error()))
		return
	}
	s.altering(func() {
		value := engine.UsersValue(engine.LoadFile, acl.HashedLines(lines))
		if refused := s.srv.setWide([]config.Pair{{Name: engine.LoadUsers, Value: value}}); refused != "" {
			r.fail(refused)
			return
		}
		r.out.OK()
	})
}

// aclSave: ACL SAVE writes the cluster's users to this node's aclfile.
func aclSave(s *Session, r *request) {
	path := ACLFile(s.srv.opts.Config)
	if path == "" {
		r.fail(errNoACLFile)
		return
	}
	text := strings.Join(s.srv.users.catalog.Lines(s.srv.users.view().list), "\n") + "\n"
	if err := config.WriteFile(path, []byte(text), 0o600); err != nil {
		s.srv.log.Error("ACL SAVE failed", "error", err)
		r.fail("ERR There was an error trying to save the ACLs. Please check the server logs for more information")
		return
	}
	r.out.OK()
}

// ACLFile returns where aclfile is, a path from the data directory on as redis-server has
// it, or "" if there is none.
func ACLFile(conf *config.Config) string {
	path := conf.String("aclfile")
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(conf.String("dir"), path)
}

// ReadUsers returns the lines of an aclfile.
func ReadUsers(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > acl.BytesMax {
		return nil, acl.ErrTooMany
	}
	text, err := os.ReadFile(path)
	if err != nil {
		var why *os.PathError
		if errors.As(err, &why) {
			err = why.Err
		}
		reason := err.Error()
		//lint:ignore ST1005 these are redis-server's words
		return nil, fmt.Errorf("Error loading ACLs, opening file '%s': %s", path, strings.ToUpper(reason[:1])+reason[1:])
	}
	return strings.Split(string(text), "\n"), nil
}
