# Targets for people; .ci/run calls the same ones.

GO       ?= go
TOOLS    := $(CURDIR)/bin/tools
GOFUMPT  := $(TOOLS)/gofumpt
STATIC   := $(TOOLS)/staticcheck
IMAGE    ?= quorate:latest

.PHONY: build demo test check race fuzz power oracle redis-suite compatibility e2e chaos chaos-mutants chaos-gaps chaos-upgrade chaos-ci compose differential sim bench bench-types image tools clean nemesis chaos-compose FORCE

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/quorate ./cmd/quorate

# Three nodes on this machine; Ctrl-C stops them.
demo: build
	bin/quorate demo

test:
	$(GO) test ./...

# What must hold before a change goes in.
check: tools
	@unformatted=$$($(GOFUMPT) -l .); test -z "$$unformatted" || { echo "not formatted:" $$unformatted; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags e2e,compose ./...
	$(STATIC) -tags e2e,compose ./...
	$(GO) vet -tags "chaos,invariants,$$(grep -rhoE '^//go:build mutant_[a-z_]+$$' --include='*.go' . | cut -d' ' -f2 | sort -u | paste -sd,)" ./cmd/quorate ./cluster/... ./engine/... ./fsm/...
	$(MAKE) race fuzz

race:
	$(GO) test -race -timeout 20m ./...

# Some thousand inputs of each fuzz target, to find what a change broke. A count
# and not a time: at the end of its time the fuzzer may fail the input in hand.
# FUZZTIME=100000x, or 1h, is for longer runs.
FUZZTIME ?=
fuzz:
	GO=$(GO) FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

# Power lost and operations failing at every place of the stores' work, as in
# `make test` but with ROUNDS random losses at each.
ROUNDS ?= 100
power:
	QUORATE_POWER=$(ROUNDS) $(GO) test -v -count=1 -timeout 2h -run 'PowerLoss|FaultEverywhere' ./cluster/raftlog ./cluster/rdbsnap ./cluster

# The datadriven scripts against a real redis-server.
oracle:
	QUORATE_ORACLE=$$(command -v redis-server) $(GO) test ./engine/... -run 'Oracle|Transcript|Facts' -count=1

# The same random commands to a redis-server and a cluster of three nodes, whose
# replies and states must be the same; scripts/differential says what its flags
# mean. DIFFERENTIAL="-seed 7 -commands 1000000 -only zadd,zrange" is an example.
DIFFERENTIAL ?=
bin/differential: FORCE
	$(GO) build -o bin/differential ./scripts/differential

differential: build bin/differential
	bin/differential $(DIFFERENTIAL)

# Redis' own test suite, from Debian's source package, against the leader and a
# follower of three nodes; FILES="unit/type/string ..." runs a part, ON=node one node
# a file, ON=started servers that the suite starts itself, with configurations of its own;
# JOBS files at once. RECORD=-record keeps the figures for the document below.
ON   ?= leader,follower
JOBS ?= 1
redis-suite: build
	GO=$(GO) scripts/compat/redis-suite.sh -on $(ON) -jobs $(JOBS) $(RECORD) $(FILES)

# docs/compatibility.md, from our commands, the suite's figures and the lists of
# scripts/compat.
compatibility:
	$(GO) run ./scripts/compat doc

# Real processes: the guide, killed leaders, restarts, snapshots. Tells the
# pause at each kill, and why something was left out.
e2e: build
	QUORATE_BIN=$(CURDIR)/bin/quorate $(GO) test -tags e2e -v -count=1 -timeout 20m ./scripts/e2e
	QUORATE_BIN=$(CURDIR)/bin/quorate $(GO) test -tags e2e -v -count=1 -timeout 5m ./scripts/differential -run RedisServerFollows

# The shipped compose file, where a Docker engine answers.
compose: image
	QUORATE_BIN=$(CURDIR)/bin/quorate $(GO) test -tags compose -v -count=1 -timeout 10m ./scripts/e2e -run Compose

# Faults of processes beneath clients whose histories are checked; cmd/chaos says
# what its flags mean. CHAOS="-seed 7" draws the same faults and choices again.
# CHAOS="-faults all" takes all faults that can be had: those of networks need root
# and -network netns (or proxy, for those of links), those of disks -disk ext4 (or
# tmpfs), those of clocks a binary built with the tag chaos, those of upgrades
# -other; what can't be had is left out, and said.
CHAOS ?=
bin/chaos: FORCE
	$(GO) build -o bin/chaos ./cmd/chaos

chaos: build bin/chaos
	bin/chaos -duration 2m -every 1s -args '--no-leader-wait 10000' $(CHAOS)

# Every fault of the nemesis once beneath a simple load, and 200 damages of files:
# tells how long each took to serve and to be whole again. Root has all of them.
# NEMESIS="-positions 40 -lasts 1s" is what CI does: two minutes.
NEMESIS ?=
nemesis:
	$(GO) test -tags e2e -v -count=1 -timeout 15m ./cmd/chaos/nemesis $(NEMESIS)

# The checker against the shipped compose file, while its containers are killed,
# stopped, paused and disconnected, for COMPOSE_SECONDS.
COMPOSE_SECONDS ?= 90
chaos-compose: image
	scripts/chaos-compose $(COMPOSE_SECONDS)

# The bounded run of CI: 200,000 operations under 24 faults or more. It fails if they
# take more than five minutes.
chaos-ci: build bin/chaos
	scripts/chaos-ci.sh $(CHAOS)

# The previous commit's binary and this one's in one cluster, there and back, under
# the checker; FROM names another revision. Half a minute.
chaos-upgrade: build bin/chaos
	GO=$(GO) FROM=$(FROM) scripts/chaos-upgrade.sh $(CHAOS)

# How long clients of surviving nodes wait for a write, over 30 of each fault, beside
# what is aimed at. For a quiet machine; seven minutes.
chaos-gaps: build bin/chaos
	bin/chaos -gaps -rounds 30 -duration 20m -every 500ms -lasts 1s -clients 3 -kinds counter -out bin/chaos-gaps -args '--no-leader-wait 10000' \
		-faults process/kill-leader,process/pause-leader,process/stop-leader,process/transfer,process/kill-follower,process/pause-follower $(CHAOS)

# Every seeded bug must be found within a minute. BUGS="lease watch" chooses some.
chaos-mutants:
	GO=$(GO) scripts/chaos-mutants.sh $(BUGS)

# Whole clusters on virtual time under faults, HOURS of cluster time over random
# seeds; docs/reliability.md says what is checked.
HOURS ?= 1
sim:
	scripts/sim.sh $(HOURS)

bench: build
	$(GO) run ./scripts/bench -quorate bin/quorate

# The commands of each type at 10, 1,000 and 1,000,000 elements, on one node beside
# a redis-server. Five minutes on a quiet machine; TYPES="-only zset" measures some.
TYPES ?=
bench-types: build
	$(GO) run ./scripts/bench -quorate bin/quorate -types $(TYPES)

# A static binary in an empty image: needs no other image to build.
image: build
	docker build -q -f deploy/Dockerfile.scratch -t $(IMAGE) .

tools: $(GOFUMPT) $(STATIC)

$(GOFUMPT):
	GOBIN=$(TOOLS) $(GO) install mvdan.cc/gofumpt@v0.12.0

$(STATIC):
	GOBIN=$(TOOLS) $(GO) install honnef.co/go/tools/cmd/staticcheck@v0.8.2

clean:
	rm -rf bin
