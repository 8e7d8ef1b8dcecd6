package workload

import (
	"math/rand/v2"
	"strings"
)

// conversions are scripts whose replies show how values pass from Lua to the
// client and back.
var conversions = []string{
	"return ARGV[1]",
	"return {1, 2.9, '3', true, false, {4, {}}, nil, 5}",
	"return {ok = ARGV[1]}",
	"return {err = 'MINE ' .. #ARGV}",
	"return redis.error_reply(ARGV[1])",
	"return redis.status_reply('FINE')",
	"redis.setresp(3); return {double = 3.25}",
	"redis.setresp(3); return {map = {a = 1}}",
	"redis.setresp(3); return {set = {a = true}}",
	"return tostring(1e15) .. tostring(0.1) .. tostring(-3) .. tostring(1/0)",
	"return tonumber(ARGV[1])",
	"return string.format('%5.2f|%d|%x|%s|%q', 3.14159, 42, 255, ARGV[1], 'q')",
	"return cjson.encode({1, 'a', {b = 2}})",
	"return cjson.encode(cjson.decode('[1,2.5,\"x\",null,true,{\"k\":[]}]'))",
	"return cmsgpack.pack({1, 'a', -5, 2.5, true})",
	"return cmsgpack.unpack(cmsgpack.pack(ARGV))",
	"return {bit.band(255, 15), bit.bor(1, 6), bit.bxor(5, 1), bit.lshift(1, 31), bit.tohex(255)}",
	"return struct.pack('>I2i4s', 1, -2, 'abc')",
	"return {struct.unpack('<I2', '\\1\\2')}",
	"return {#ARGV[1], ARGV[1]:upper(), ARGV[1]:rep(2), ARGV[1]:sub(1, 2), ARGV[1]:byte(1)}",
	"return {string.find(ARGV[1], '%d+')}",
	"return redis.sha1hex(ARGV[1])",
	"local t = {5, 1, 3}; table.sort(t); return t",
	"return {pcall(redis.call, 'NOSUCH')}",
	"return redis.call('NOSUCH')",
	"return redis.pcall('GET')",
	"return redis.call('SET', 's1', ARGV[1], 'KEEPTTL')",
	"return redis.call()",
	"return unknown_global",
	"local x = = 1",
	"error('mine')",
	"error({err = 'MINE table'})",
	"return math.floor(3.7) + math.max(1, 2) % 2",
	"return {KEYS[1], #KEYS, #ARGV}",
	"return redis.REDIS_VERSION_NUM and 1",
	"#!lua flags=no-writes\nreturn redis.call('SET', 's1', '1')",
	"#!lua name=x\nreturn 1",
	"return {1, nil, 3}",
	"return {[1] = 'a', [3] = 'c', x = 'y'}",
	"return -0.5",
	"return 2^53",
}

// wrappers carry out the commands that their arguments spell.
const (
	// callOne raises the errors of its one command.
	callOne = "return redis.call(unpack(ARGV))"
	// tryOne returns them.
	tryOne = "return redis.pcall(unpack(ARGV))"
	// tryAll returns the replies of several commands, each behind the number of
	// its words.
	tryAll = "local out, i = {}, 1\nwhile i <= #ARGV do\n local n = tonumber(ARGV[i])\n" +
		" out[#out + 1] = redis.pcall(unpack(ARGV, i + 1, i + n))\n i = i + n + 1\nend\nreturn out"
)

var libraryNames = []string{"lib1", "lib2", "lib3", "lib4"}

// heads are first lines of libraries, beside the usual one, that are refused.
var heads = []string{"", "#!lua", "#!lua name=", "#!lua name=a.b", "#!lua name=lib1 name=lib2", "#!lua name=lib1 x=y", "#!js name=lib1", "#!LUA NAME=lib1"}

// library draws the code of a library with a function, which may be another one's. What it
// does is what a script does, with the names of EVAL's globals for its parameters.
func library(r *rand.Rand) string {
	head := "#!lua name=" + pick(r, libraryNames...)
	if r.IntN(12) == 0 {
		head = pick(r, heads...)
	}
	body := pick(r, conversions...)
	for strings.HasPrefix(body, "#!") {
		body = pick(r, conversions...)
	}
	name := pick(r, "f1", "f2", "f3", "f4")
	callback := "function(KEYS, ARGV)\n" + body + "\nend"
	switch r.IntN(4) {
	case 0:
		return head + "\nredis.register_function{function_name='" + name + "', description='" + name + " does', flags={" +
			pick(r, "", "'no-writes'", "'no-writes', 'allow-oom'", "'allow-stale'", "'none'") + "}, callback=" + callback + "}"
	case 1:
		return head + "\nlocal function helper(...) return ... end\nredis.register_function('" + name + "', function(KEYS, ARGV)\n" +
			"local f = " + callback + "\nreturn helper(f(KEYS, ARGV))\nend)"
	}
	return head + "\nredis.register_function('" + name + "', " + callback + ")"
}
