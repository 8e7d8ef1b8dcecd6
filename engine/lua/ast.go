package lua

// The syntax tree. Names are resolved when it is built: a nameExpr is a local, an upvalue or a global.
// line is where a run-time error of the node is reported.

type (
	expr interface{}
	stmt interface{}
)

// block is a list of statements with a scope of its own.
type block struct {
	stmts []stmt
	line  int // where it begins
}

type (
	nilExpr    struct{}
	boolExpr   struct{ b bool }
	numberExpr struct{ f float64 }
	stringExpr struct{ s string }
	dotsExpr   struct{}
	localExpr  struct{ v *local }
	upvalExpr  struct {
		index int
		name  string
	}
	globalExpr struct {
		name string
		line int
	}
	indexExpr struct {
		obj, key expr
		line     int
	}
	callExpr struct {
		fn   expr
		name string // of a method call obj:name(), where fn is obj
		args []expr
		line int
	}
	functionExpr struct{ fn *function }
	tableExpr    struct {
		items []tableItem
		line  int
	}
	binaryExpr struct {
		op   token
		l, r expr
		line int
	}
	concatExpr struct {
		parts []expr
		line  int
	}
	unaryExpr struct {
		op   token
		e    expr
		line int
	}
	parenExpr struct{ e expr }
)

// tableItem is a field of a table constructor; without a key it goes to the next array index.
type tableItem struct{ key, val expr }

type (
	localStmt struct {
		vars []*local
		vals []expr
	}
	assignStmt struct {
		targets []expr
		vals    []expr
		line    int
	}
	callStmt  struct{ call *callExpr }
	doStmt    struct{ body block }
	whileStmt struct {
		cond expr
		body block
	}
	repeatStmt struct {
		body block
		cond expr
	}
	ifStmt struct {
		clauses   []clause
		otherwise block
	}
	clause struct {
		cond expr
		body block
	}
	numericFor struct {
		v                  *local
		start, limit, step expr
		body               block
		line               int
	}
	genericFor struct {
		vars []*local
		vals []expr
		body block
		line int
	}
	localFunction struct {
		v  *local
		fn *functionExpr
	}
	returnStmt struct {
		vals []expr
		line int
	}
	breakStmt struct{}
)

// local is a local variable. A captured one lives in a cell, so that closures share it.
type local struct {
	name     string
	slot     int
	captured bool
}

// capture tells where a closure finds an upvalue when it is made: a local of the function around it
// or one of that function's own upvalues.
type capture struct {
	name  string
	from  *local // nil for an upvalue
	index int
}

// function is a function's body and what it needs.
type function struct {
	parent   *function
	params   []*local
	vararg   bool
	needsArg bool // declares the table arg, as functions with ... that do not use ... do
	arg      *local
	body     block
	captures []capture
	slots    int
	line     int

	active []*local // in scope while parsing
	loops  int
}
