package side

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

// Blocking is producers that push numbered elements through every node, and consumers
// that wait for them on every node, round after round: lists filled at the left and at
// the right, sorted sets, streams with a group. Each round has keys of its own and is
// judged when its producers have stopped and its consumers found nothing more.
type Blocking struct {
	Env    *Env
	Number int
	Rand   *rand.Rand
}

// BlockingKind is the name of these rounds where kinds are chosen and counted.
const BlockingKind = "blocking"

// Times of a round.
const (
	pushingLasts  = 2 * time.Second
	finalPatience = 40 * time.Second // for the last reads
	earlySlack    = 5 * time.Millisecond
	unblockAgain  = 100 * time.Millisecond // after an answer that nobody waits
)

// Early is a wait that ended before its time.
type Early struct {
	Node     int
	From, To time.Duration // since the run began
	Timeout  time.Duration
}

// shape is what kind of values a round is about.
type shape uint8

const (
	leftList  shape = iota // filled at the left
	rightList              // filled at the right
	sortedSet
	group
	shapes
)

func (s shape) String() string {
	return [...]string{"list filled at the left", "list filled at the right", "sorted set", "stream"}[s]
}

// round is one under way.
type round struct {
	env   *Env
	name  string // prefix of its keys
	shape shape

	over    context.Context // its end: the producers are to stop
	stopped chan struct{}   // closed when they have

	mu     sync.Mutex
	pushes [][]Push // guarded by mu; by producer
	pops   []Pop    // guarded by mu
	reads  [][]Read // guarded by mu; by reader
}

func (r *round) key(queue int) string { return r.name + strconv.Itoa(queue) }

// Run plays rounds until ctx ends. The last one is played to its end.
func (b *Blocking) Run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		r := &round{
			env: b.Env, name: fmt.Sprintf("%sq%d.%d.", b.Env.Prefix, b.Number, n), shape: shape((n + b.Number) % int(shapes)),
			stopped: make(chan struct{}),
		}
		if r.shape == group && !r.makeGroup(ctx) {
			continue
		}
		r.play(ctx, b.Rand)
		r.judge(b.Rand)
	}
}

// makeGroup makes the stream and its group.
func (r *round) makeGroup(ctx context.Context) bool {
	for node := 0; ctx.Err() == nil; node++ {
		l := line{env: r.env, node: node % len(r.env.Endpoints), resp: 2, who: "XGROUP"}
		if !l.connect(ctx) {
			continue
		}
		began := r.env.now()
		_, err := l.conn.Do(ledgerTimeout, "XGROUP", "CREATE", r.key(0), "g", "0", "MKSTREAM")
		if err == nil || strings.HasPrefix(err.Error(), "BUSYGROUP") {
			l.hangUp()
			return true
		}
		l.failed(err, began)
		l.hangUp()
	}
	return false
}

// play has the producers push for a while, and the consumers take all there is.
func (r *round) play(ctx context.Context, random *rand.Rand) {
	nodes := len(r.env.Endpoints)
	over, cancel := context.WithTimeout(ctx, pushingLasts)
	defer cancel()
	r.over = over
	pace := time.Duration(random.IntN(6)) * time.Millisecond
	fork := func() *rand.Rand { return rand.New(rand.NewPCG(random.Uint64(), random.Uint64())) }
	var producers, consumers sync.WaitGroup
	r.pushes = make([][]Push, nodes)
	r.reads = make([][]Read, nodes)
	for i := range 2*nodes + 1 {
		who := fmt.Sprintf("consumer %d of %s", i, r.name)
		c := &consumer{
			round: r, number: i, rand: fork(), mover: i%4 == 1 && r.shape < sortedSet, hasty: i == 2*nodes,
			line:   line{env: r.env, node: i % nodes, resp: 2 + i/nodes%2, who: who},
			nudges: line{env: r.env, node: i % nodes, resp: 2, who: who + ", to unblock it"},
		}
		consumers.Go(c.run)
	}
	if r.shape == group {
		for i := range nodes {
			f := &follower{round: r, number: i, line: line{env: r.env, node: i, resp: 2 + i%2, who: fmt.Sprintf("reader %d of %s", i, r.name)}}
			consumers.Go(f.run)
		}
	}
	for i := range nodes {
		p := &producer{round: r, number: i, rand: fork(), pace: pace, line: line{env: r.env, node: i, resp: 2, who: fmt.Sprintf("producer %d of %s", i, r.name)}}
		producers.Go(p.run)
	}
	producers.Wait()
	close(r.stopped)
	consumers.Wait()
}

// producer pushes through one node.
type producer struct {
	round  *round
	number int
	rand   *rand.Rand
	pace   time.Duration
	line   line
	made   int
}

// pushScript adds elements to a list one after the other.
const pushScript = `for i = 2, #ARGV do redis.call(ARGV[1], KEYS[1], ARGV[i]) end return #ARGV - 1`

func (p *producer) run() {
	defer p.line.hangUp()
	for p.round.over.Err() == nil {
		if !p.line.connect(p.round.over) {
			continue
		}
		p.push()
		if p.pace > 0 {
			pause(p.round.over, time.Duration(p.rand.Int64N(int64(2*p.pace))))
		}
	}
}

// push adds some elements in one command, script or transaction.
func (p *producer) push() {
	r := p.round
	pushes := make([]Push, 1)
	if r.shape != group && p.rand.IntN(4) == 0 {
		pushes = make([]Push, 1+p.rand.IntN(4))
	}
	var elements []string
	for i := range pushes {
		p.made++
		pushes[i] = Push{Element: fmt.Sprintf("%d.%d", p.number, p.made), Producer: p.number, Score: p.rand.IntN(50)}
		if r.shape == sortedSet {
			elements = append(elements, strconv.Itoa(pushes[i].Score))
		}
		elements = append(elements, pushes[i].Element)
	}
	key, name := r.key(0), map[shape]string{leftList: "LPUSH", rightList: "RPUSH", sortedSet: "ZADD"}[r.shape]
	began := r.env.now()
	var v reply.Value
	var err error
	switch form := p.rand.IntN(8); {
	case r.shape == group:
		v, err = p.line.conn.Do(ledgerTimeout, "XADD", key, "*", "e", elements[0])
	case form == 0 && r.shape != sortedSet:
		_, err = p.line.conn.Do(ledgerTimeout, append([]string{"EVAL", pushScript, "1", key, name}, elements...)...)
	case form == 1:
		half := len(elements) / 2 &^ 1
		cmds := [][]string{append([]string{name, key}, elements[half:]...), {"EXISTS", key}}
		if half > 0 {
			cmds = append([][]string{append([]string{name, key}, elements[:half]...)}, cmds...)
		}
		_, err = transaction(p.line.conn, ledgerTimeout, cmds...)
	default:
		_, err = p.line.conn.Do(ledgerTimeout, append([]string{name, key}, elements...)...)
	}
	outcome, id := Acked, string(v.Text)
	if err != nil {
		outcome = p.line.failed(err, began)
	}
	now := r.env.now()
	for i := range pushes {
		pushes[i].Call, pushes[i].Return, pushes[i].Outcome, pushes[i].ID = began, now, outcome, id
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pushes[p.number] = append(r.pushes[p.number], pushes...)
}

// consumer waits at one node.
type consumer struct {
	round  *round
	number int
	rand   *rand.Rand
	mover  bool // takes from the first queue and gives to the second
	hasty  bool // hangs up now and then while it waits
	line   line
	nudges line // what sends CLIENT UNBLOCK
	id     string
}

func (c *consumer) run() {
	defer c.line.hangUp()
	defer c.nudges.hangUp()
	r := c.round
	for {
		last := closed(r.stopped)
		if c.line.conn == nil {
			if !c.line.connect(r.over) {
				if last {
					return
				}
				continue
			}
			v, err := c.line.conn.Do(ledgerTimeout, "CLIENT", "ID")
			if err != nil {
				c.line.failed(err, r.env.now())
				c.line.hangUp()
				continue
			}
			c.id = strconv.FormatInt(v.Int, 10)
		}
		p := c.pop(last)
		r.mu.Lock()
		r.pops = append(r.pops, p)
		r.mu.Unlock()
		if last && p.Fate != Got {
			return
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// nudge is what CLIENT UNBLOCK was answered.
type nudge uint8

const (
	notSent nudge = iota
	ended         // the wait
	tooLate       // nobody waited, or not yet
	unsure
)

// pop waits once. The last ones of a round don't wait for long.
func (c *consumer) pop(last bool) Pop {
	r := c.round
	p := Pop{Consumer: c.number, Queues: []int{0}, To: -1, Count: 1}
	p.Timeout = []time.Duration{20 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second, 0}[c.rand.IntN(4)]
	if last {
		p.Timeout = 100 * time.Millisecond
	}
	args := c.command(&p)
	after, kind := time.Duration(0), "TIMEOUT" // when and how it is unblocked
	if p.Timeout == 0 || c.rand.IntN(10) == 0 {
		after = time.Duration(1+c.rand.IntN(800)) * time.Millisecond
		if c.rand.IntN(2) == 0 {
			kind = "ERROR"
		}
	}
	patience := p.Timeout + 2*ledgerTimeout // without a majority no time is up
	if c.hasty && c.rand.IntN(4) == 0 {
		patience, after = time.Duration(1+c.rand.IntN(200))*time.Millisecond, 0
	}

	p.Call = r.env.now()
	c.line.conn.Append(args...)
	err := c.line.conn.Flush(ledgerTimeout)
	answered, sent := make(chan struct{}), make(chan nudge, 1)
	if after > 0 {
		go func() { sent <- c.unblockUntil(answered, after, kind) }()
	}
	var v reply.Value
	if err == nil {
		v, err = c.line.conn.Read(patience)
	}
	p.Return = r.env.now()
	c.outcome(&p, &v, err, patience < ledgerTimeout)
	close(answered)
	if after > 0 {
		c.nudged(&p, <-sent, kind)
	}
	if p.Fate == Empty && (p.Timeout == 0 || p.Return-p.Call < p.Timeout-earlySlack) {
		note(r.env, &r.env.early, Early{Node: c.line.node, From: p.Call, To: p.Return, Timeout: p.Timeout})
	}
	return p
}

// command chooses a command that waits, as p says, and completes p.
func (c *consumer) command(p *Pop) []string {
	r := c.round
	key, seconds := r.key(0), strconv.FormatFloat(p.Timeout.Seconds(), 'f', -1, 64)
	side, in := "RIGHT", "LEFT" // where lists are emptied and filled
	if r.shape == rightList {
		side, in = in, side
	}
	switch r.shape {
	case sortedSet:
		if c.rand.IntN(3) > 0 {
			return []string{"BZPOPMIN", key, seconds}
		}
		p.Count = 1 + c.rand.IntN(3)
		return []string{"BZMPOP", seconds, "1", key, "MIN", "COUNT", strconv.Itoa(p.Count)}
	case group:
		p.Count = 1 + c.rand.IntN(3)
		return []string{
			"XREADGROUP", "GROUP", "g", strconv.Itoa(c.number), "COUNT", strconv.Itoa(p.Count),
			"BLOCK", strconv.FormatInt(p.Timeout.Milliseconds(), 10), "STREAMS", key, ">",
		}
	}
	if c.mover {
		p.To = 1
		if side == "RIGHT" && c.rand.IntN(2) == 0 {
			return []string{"BRPOPLPUSH", key, r.key(1), seconds}
		}
		return []string{"BLMOVE", key, r.key(1), side, in, seconds}
	}
	keys := []string{key}
	switch c.rand.IntN(4) {
	case 0:
		p.Queues, keys = []int{1}, []string{r.key(1)}
	case 1:
		p.Queues, keys = []int{1, 0}, []string{r.key(1), key}
	}
	if c.rand.IntN(3) == 0 {
		p.Count = 1 + c.rand.IntN(3)
		return append(append([]string{"BLMPOP", seconds, strconv.Itoa(len(keys))}, keys...), side, "COUNT", strconv.Itoa(p.Count))
	}
	return append(append([]string{"B" + side[:1] + "POP"}, keys...), seconds)
}

// outcome notes what a wait was answered.
func (c *consumer) outcome(p *Pop, v *reply.Value, err error, hasty bool) {
	var timeout net.Error
	switch {
	case err != nil && hasty && errors.As(err, &timeout) && timeout.Timeout():
		p.Fate = Unknown
		c.line.hangUp()
	case err != nil:
		p.Fate = Unknown
		c.line.failed(err, p.Call)
	case v.Kind == reply.KindError && reply.Error(v.Text) == reply.ErrUnblocked:
		p.Fate = Nudged
	case v.Kind == reply.KindError:
		p.Fate = Denied
		if c.line.failed(reply.Error(v.Text), p.Call) == Doubted {
			p.Fate = Unknown
		}
	case v.Kind == reply.KindNull:
		p.Fate = Empty
	default:
		c.given(p, v)
	}
}

// given takes the elements out of a reply.
func (c *consumer) given(p *Pop, v *reply.Value) {
	r := c.round
	switch {
	case c.mover:
		p.Elements = []string{string(v.Text)}
		return
	case r.shape == group:
		for _, e := range streamEntries(v) {
			p.Elements = append(p.Elements, e.Element)
		}
		return
	}
	if len(v.Elems) > 0 && string(v.Elems[0].Text) == r.key(1) {
		p.Queue = 1
	}
	switch {
	case len(v.Elems) == 2 && len(v.Elems[1].Elems) == 0, len(v.Elems) == 3: // of one element, with its score
		p.Elements = []string{string(v.Elems[1].Text)}
	case len(v.Elems) == 2:
		for _, e := range v.Elems[1].Elems {
			if len(e.Elems) > 0 { // with its score
				e = e.Elems[0]
			}
			p.Elements = append(p.Elements, string(e.Text))
		}
	}
	if len(p.Elements) == 0 || len(p.Elements) > p.Count {
		r.env.Violation(fmt.Sprintf("%s asked for %d elements and got %q", c.line.who, p.Count, p.Elements))
	}
}

// streamEntries returns the entries of XREAD's reply about one stream, which is a map
// in RESP3.
func streamEntries(v *reply.Value) (entries []Entry) {
	elems := v.Elems
	if len(elems) == 1 {
		elems = elems[0].Elems
	}
	if len(elems) != 2 {
		return nil
	}
	return entriesOf(&elems[1])
}

// entriesOf returns the entries of XRANGE's reply.
func entriesOf(v *reply.Value) (entries []Entry) {
	for _, e := range v.Elems {
		if len(e.Elems) == 2 && len(e.Elems[1].Elems) == 2 {
			entries = append(entries, Entry{ID: string(e.Elems[0].Text), Element: string(e.Elems[1].Elems[1].Text)})
		}
	}
	return entries
}

// unblockUntil ends the consumer's wait after some time, unless it was answered before.
// It says so again until it has: a node that did not know yet that the consumer waits
// has answered that it doesn't, and then it would wait for ever.
func (c *consumer) unblockUntil(answered <-chan struct{}, after time.Duration, kind string) nudge {
	sent := notSent
	for sent != ended {
		select {
		case <-answered:
			return sent
		case <-time.After(after):
		}
		if one := c.unblock(kind); one != tooLate || sent == notSent {
			sent = one
		}
		after = unblockAgain
	}
	return sent
}

// unblock ends the consumer's wait.
func (c *consumer) unblock(kind string) nudge {
	began := c.round.env.now()
	if !c.nudges.connect(context.Background()) {
		return unsure
	}
	v, err := c.nudges.conn.Do(ledgerTimeout, "CLIENT", "UNBLOCK", c.id, kind)
	switch {
	case err != nil:
		c.nudges.failed(err, began)
		return unsure
	case v.Int == 1:
		return ended
	}
	return tooLate
}

// nudged compares what CLIENT UNBLOCK was answered with how the wait ended.
func (c *consumer) nudged(p *Pop, sent nudge, kind string) {
	wrong := func(text string) {
		c.round.env.Violation(fmt.Sprintf("%s, which waited from %v to %v: %s", c.line.who, p.Call, p.Return, text))
	}
	switch sent {
	case ended:
		switch {
		case p.Fate == Got:
			wrong("CLIENT UNBLOCK ended its wait, and it was given something")
		case p.Fate == Nudged && kind == "TIMEOUT":
			wrong("CLIENT UNBLOCK TIMEOUT ended its wait with an error")
		case p.Fate == Empty && kind == "ERROR":
			wrong("CLIENT UNBLOCK ERROR ended its wait without one")
		case p.Fate == Empty:
			p.Fate = Nudged
		}
	case unsure:
		if p.Fate == Empty {
			p.Fate = Nudged
		}
	default:
		if p.Fate == Nudged {
			wrong("nobody unblocked it, and it was told so")
		}
	}
}

// follower reads a stream as it grows.
type follower struct {
	round  *round
	number int
	line   line
	last   string
}

func (f *follower) run() {
	defer f.line.hangUp()
	r := f.round
	for f.last = "0"; ; {
		last := closed(r.stopped)
		if !f.line.connect(r.over) {
			if last {
				return
			}
			continue
		}
		read := Read{Reader: f.number, Timeout: 100 * time.Millisecond, Call: r.env.now()}
		v, err := f.line.conn.Do(ledgerTimeout, "XREAD", "COUNT", "20", "BLOCK", "100", "STREAMS", r.key(0), f.last)
		read.Return = r.env.now()
		switch {
		case err != nil:
			read.Fate = Denied
			f.line.failed(err, read.Call)
		case v.Kind == reply.KindNull:
			read.Fate = Empty
		default:
			read.Entries = streamEntries(&v)
			f.last = read.Entries[len(read.Entries)-1].ID
		}
		r.mu.Lock()
		r.reads[f.number] = append(r.reads[f.number], read)
		r.mu.Unlock()
		if last && read.Fate != Got {
			return
		}
	}
}

// judge reads what is left, compares and tells.
func (r *round) judge(random *rand.Rand) {
	result := Round{Queues: 2, Pops: r.pops}
	for _, pushes := range r.pushes {
		result.Pushes = append(result.Pushes, pushes...)
	}
	operations := len(result.Pushes) + len(r.pops)
	var tally Tally
	began := time.Now()
	left, ok := r.left(random)
	switch {
	case !ok:
	case r.shape == group:
		log := LogRound{Round: result}
		for _, reads := range r.reads {
			log.Reads = append(log.Reads, reads...)
		}
		operations += len(log.Reads)
		log.Entries, log.Pending = entriesOf(&left[0]), make(map[string]int)
		for _, p := range left[1].Elems {
			log.Pending[string(p.Elems[0].Text)], _ = strconv.Atoi(string(p.Elems[1].Text))
		}
		tally = log.Check()
	default:
		if r.shape == sortedSet {
			result.Order, result.Queues = Lowest, 1
		}
		for i := range left {
			var names []string
			for _, e := range left[i].Elems {
				names = append(names, string(e.Text))
			}
			result.Left = append(result.Left, names)
		}
		tally = result.Check()
	}
	r.env.mu.Lock()
	r.env.taken.Lost += int64(tally.Lost)
	r.env.taken.Doubts += int64(tally.Doubts)
	for i := range r.pops {
		switch p := &r.pops[i]; p.Fate {
		case Got:
			r.env.taken.Elements += int64(len(p.Elements))
		case Empty:
			r.env.taken.Timeouts++
		}
	}
	r.env.mu.Unlock()
	where := ""
	if len(tally.Wrong) > 0 {
		where = r.env.keep(strings.ReplaceAll("round-"+r.name, ":", "-")+"txt", r.text(left))
	}
	for i, wrong := range tally.Wrong {
		if i == 5 {
			r.env.Violation(fmt.Sprintf("%s: and %d more", r.name, len(tally.Wrong)-i))
			break
		}
		r.env.Violation(fmt.Sprintf("%s (%v)%s: %s", r.name, r.shape, where, wrong))
	}
	r.env.judged(BlockingKind, Verdict{Operations: operations, Failed: len(tally.Wrong) > 0, Undecided: !ok, Took: time.Since(began)})
}

// left reads all that the round's keys hold, at one moment, and removes them.
func (r *round) left(random *rand.Rand) (values []reply.Value, ok bool) {
	cmds := [][]string{{"LRANGE", r.key(0), "0", "-1"}, {"LRANGE", r.key(1), "0", "-1"}}
	switch r.shape {
	case sortedSet:
		cmds = [][]string{{"ZRANGE", r.key(0), "0", "-1"}}
	case group:
		cmds = [][]string{{"XRANGE", r.key(0), "-", "+"}, {"XPENDING", r.key(0), "g", "-", "+", "1000000"}}
	}
	ctx, cancel := context.WithTimeout(context.Background(), finalPatience)
	defer cancel()
	for ctx.Err() == nil {
		l := line{env: r.env, node: random.IntN(len(r.env.Endpoints)), resp: 2, who: "the last read of " + r.name}
		if !l.connect(ctx) {
			continue
		}
		began := r.env.now()
		v, err := transaction(l.conn, ledgerTimeout, cmds...)
		if err != nil {
			l.failed(err, began)
			l.hangUp()
			pause(ctx, 50*time.Millisecond)
			continue
		}
		values, ok = copied(v.Elems), true
		if _, err := l.conn.Do(ledgerTimeout, "UNLINK", r.key(0), r.key(1)); err != nil {
			l.failed(err, began)
		}
		l.hangUp()
		return values, ok
	}
	return nil, false
}

// copied returns values that hold no memory of the connection they came by.
func copied(values []reply.Value) []reply.Value {
	out := make([]reply.Value, len(values))
	for i, v := range values {
		v.Text = append([]byte(nil), v.Text...)
		v.Elems = copied(v.Elems)
		out[i] = v
	}
	return out
}

// text tells the round, for people.
func (r *round) text(left []reply.Value) string {
	var b strings.Builder
	for _, pushes := range r.pushes {
		for i := range pushes {
			p := &pushes[i]
			fmt.Fprintf(&b, "%12.6f %12.6f push %s producer %d score %d id %q outcome %d\n", p.Call.Seconds(), p.Return.Seconds(), p.Element, p.Producer, p.Score, p.ID, p.Outcome)
		}
	}
	for i := range r.pops {
		p := &r.pops[i]
		fmt.Fprintf(&b, "%12.6f %12.6f pop %q of %d from %v consumer %d to %d timeout %v fate %d\n", p.Call.Seconds(), p.Return.Seconds(), p.Elements, p.Queue, p.Queues, p.Consumer, p.To, p.Timeout, p.Fate)
	}
	for _, reads := range r.reads {
		for i := range reads {
			fmt.Fprintf(&b, "%12.6f %12.6f read %v reader %d fate %d\n", reads[i].Call.Seconds(), reads[i].Return.Seconds(), reads[i].Entries, reads[i].Reader, reads[i].Fate)
		}
	}
	for i := range left {
		fmt.Fprintf(&b, "left %d:", i)
		for _, e := range left[i].Elems {
			fmt.Fprintf(&b, " %s", e.Text)
			if len(e.Elems) > 0 {
				fmt.Fprintf(&b, "%s", e.Elems[0].Text)
			}
			if len(e.Elems) > 1 {
				fmt.Fprintf(&b, "/%s", e.Elems[1].Text)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
