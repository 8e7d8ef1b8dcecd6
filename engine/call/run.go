package call

import "sync/atomic"

// Run is a script or a function that this node is carrying out.
type Run struct {
	Function bool     // a library's
	Name     string   // of the function
	Args     [][]byte // the command that called it; valid until its end
	// Logged: all nodes carry it out, and nothing that only one of them knows may end it.
	Logged bool

	wrote atomic.Bool
	kill  atomic.Bool
}

// Begin makes r a run that has just begun.
func (r *Run) Begin(function bool, name string, args [][]byte, logged bool) {
	r.Function, r.Name, r.Args, r.Logged = function, name, args, logged
	r.wrote.Store(false)
	r.kill.Store(false)
}

// Writes notes that it has begun to write.
func (r *Run) Writes() {
	if !r.wrote.Load() {
		r.wrote.Store(true)
	}
}

// Wrote reports whether it has begun to write.
func (r *Run) Wrote() bool { return r.wrote.Load() }

// Kill asks it to end. A logged run goes on to the end of its budget.
func (r *Run) Kill() { r.kill.Store(true) }

// Killed is what Kill sets.
func (r *Run) Killed() *atomic.Bool { return &r.kill }

// Observer is told of runs: that of the log, and those of clients that only read, which may
// be some at once. It must not block, nor have any effect on the data. A Run that has ended
// is used for another one.
type Observer interface {
	Begins(*Run)
	// Ends tells that a run is over. cut: it did not come to its own end, for it was
	// killed or its budget is used up.
	Ends(r *Run, cut bool)
}
