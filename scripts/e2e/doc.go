// Package e2e proves what the README promises, with real processes: the
// binary's nodes on ports of this machine, in network namespaces or in
// containers, and clients as applications use them.
//
// Its tests are behind the build tags e2e (make e2e) and compose (make
// compose). QUORATE_BIN names the binary to test; without it, it is built.
// A failed test leaves its nodes' logs in bin/e2e-logs.
package e2e
