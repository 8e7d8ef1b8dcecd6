#!/usr/bin/env bash
# Runs the test suite of Redis 7.0.15 against quorate and judges its results by
# suite.tsv: redis-suite.sh [FLAG ...] [FILE ...]; `go run ./scripts/compat suite -h`
# tells the flags. FILE is a name as the suite has it, such as unit/type/string;
# without any, all are run.
#
# The suite is taken from Debian's source package of redis and stays outside the
# repository: in QUORATE_SUITE_CACHE, or a folder under TMPDIR.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${QUORATE_SUITE_CACHE:-${TMPDIR:-/tmp}/quorate-redis-suite}
version=7.0.15
suite=$cache/redis-$version

# fetch unpacks the suite into the cache.
fetch() {
	mkdir -p "$cache/lists/partial"
	cat >"$cache/debian.sources" <<-EOF
		Types: deb-src
		URIs: ${DEBIAN_MIRROR:-http://deb.debian.org/debian}
		Suites: bookworm
		Components: main
		Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	EOF
	local apt=(apt-get -qq -o "Dir::Etc::sourcelist=$cache/debian.sources" -o Dir::Etc::sourceparts=-
		-o "Dir::State::lists=$cache/lists" -o APT::Sandbox::User=)
	"${apt[@]}" update
	(cd "$cache" && "${apt[@]}" source --download-only redis >/dev/null 2>&1 && tar xzf "redis_$version.orig.tar.gz")
	# Two files of tests want these programs there.
	for program in redis-cli redis-benchmark; do
		ln -sf "$(command -v $program)" "$suite/src/$program"
	done
}

# adapt changes what would end or double whole files where FUNCTION is missing, for
# those who set NO_FUNCTIONS: the suite flushes functions before each block, and runs
# each script as a function too.
adapt() {
	sed -i 's/^    r function flush$/    if {![info exists ::env(NO_FUNCTIONS)]} {r function flush}/' "$suite/tests/support/server.tcl"
	sed -i 's/^foreach is_eval {0 1} {$/foreach is_eval [expr {[info exists ::env(NO_FUNCTIONS)] ? {1} : {0 1}}] {/' \
		"$suite/tests/unit/scripting.tcl"
}

[ -e "$suite/tests/test_helper.tcl" ] || fetch
adapt
# Where the suite starts servers itself, it starts this.
ln -sf "$PWD/scripts/compat/redis-server.sh" "$suite/src/redis-server"
exec "${GO:-go}" run ./scripts/compat suite -suite "$suite" "$@"
