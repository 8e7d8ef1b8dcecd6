package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// runner runs files of the suite.
type runner struct {
	out     io.Writer
	suite   string
	quorate string
	logs    string
	port    int
	jobs    int
	stall   int
	files   []string
	list    []*listed
}

// portsPerJob is enough for the nodes, their cluster ports and what the suite
// listens on itself.
const portsPerJob = 100

// prepare completes the runner; without files it takes all that the suite has.
func (r *runner) prepare(ctx context.Context, files []string) error {
	var err error
	if r.quorate, err = filepath.Abs(r.quorate); err != nil {
		return err
	}
	if r.list, err = loadList(listFile); err != nil {
		return err
	}
	if r.logs == "" {
		if r.logs, err = os.MkdirTemp("", "quorate-compat-logs-"); err != nil {
			return err
		}
	}
	r.files = files
	return nil
}

// filesOf returns the files to run on a stage.
func (r *runner) filesOf(ctx context.Context, st stage) ([]string, error) {
	switch {
	case len(r.files) > 0:
		return r.files, nil
	case st.files != nil:
		return st.files, nil
	}
	out, err := r.tcl(ctx, "--list-tests").Output()
	return strings.Fields(string(out)), err
}

// tcl is a call of the suite.
func (r *runner) tcl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "tclsh8.6", append([]string{"tests/test_helper.tcl"}, args...)...)
	cmd.Dir = r.suite
	cmd.Env = append(os.Environ(), "TERM=dumb", "QUORATE="+r.quorate)
	// The suite starts processes of its own; all go with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// environment is what the suite's calls on a stage find in it.
func (st stage) environment() []string {
	if st.name == "redis-server" || ourCommands()["fcall"] != nil {
		return nil
	}
	return []string{"NO_FUNCTIONS=1"} // as redis-suite.sh has it
}

// stage runs all files on one stage and returns their results in order.
func (r *runner) stage(ctx context.Context, st stage) ([]*results, error) {
	logs := filepath.Join(r.logs, st.name)
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, err
	}
	files, err := r.filesOf(ctx, st)
	if err != nil {
		return nil, err
	}
	all := make([]*results, len(files))
	errs := make([]error, r.jobs) // by job
	next := make(chan int)
	var workers sync.WaitGroup
	jobs := r.jobs
	if st.own() {
		jobs = 1 // the suite begins by removing what servers have left, those of another job too
	}
	for i := range jobs {
		j := &job{runner: r, stage: st, logs: logs, first: r.port + i*portsPerJob}
		workers.Go(func() {
			for n := range next {
				if errs[i] == nil {
					all[n], errs[i] = j.file(ctx, files[n])
				}
			}
			errs[i] = errors.Join(errs[i], j.stop())
		})
	}
	for n := range files {
		next <- n
	}
	close(next)
	workers.Wait()
	return all, errors.Join(errs...)
}

// job runs one file after the other, each against fresh servers: settings that
// a file leaves behind spoil no other.
type job struct {
	*runner
	stage   stage
	logs    string
	first   int // port
	servers *servers
}

// file runs a file until all its tests are done: whichever hangs counts as failed
// and is left out of the next attempt.
func (j *job) file(ctx context.Context, file string) (*results, error) {
	entries := of(j.list, j.stage.name, file)
	var skip, hung []string
	stall := j.stall
	for _, l := range entries {
		if l.hangs {
			stall = min(stall, hungAfter)
		}
		if l.Kind == skipped {
			skip = append(skip, l.Test)
		}
	}
	began := time.Now()
	for {
		res, err := j.attempt(ctx, file, slices.Concat(skip, hung), stall)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if res.hung != "" && !slices.Contains(hung, res.hung) {
			hung = append(hung, res.hung)
			continue
		}
		res.failed = append(res.failed, hung...)
		res.skipped = slices.DeleteFunc(res.skipped, func(t string) bool { return slices.Contains(hung, t) })
		res.judge(entries)
		fmt.Fprintln(j.out, res.line(j.stage.name, time.Since(began)))
		return res, nil
	}
}

// attempt runs a file once, without the tests in skip, waiting stall seconds for each.
func (j *job) attempt(ctx context.Context, file string, skip []string, stall int) (*results, error) {
	if j.servers == nil && !j.stage.own() {
		var err error
		if j.servers, err = j.stage.start(ctx, j.quorate, j.first, j.logs); err != nil {
			return nil, err
		}
	}
	skips := filepath.Join(j.logs, strconv.Itoa(j.first)+".skip")
	if err := os.WriteFile(skips, []byte(strings.Join(skip, "\n")), 0o644); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(j.logs, strings.ReplaceAll(file, "/", "_")+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	args := []string{
		"--single", file, "--durable", "--skipfile", skips, "--timeout", strconv.Itoa(stall),
		"--baseport", strconv.Itoa(j.first + 70), "--portcount", "20",
	}
	if j.stage.own() {
		args = append(args, "--clients", "1") // else each has a share of the ports
	} else {
		args = append(args, "--host", "127.0.0.1", "--port", strconv.Itoa(j.servers.port))
	}
	cmd := j.tcl(ctx, args...)
	cmd.Env = append(cmd.Env, j.stage.environment()...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); cmd.ProcessState == nil || ctx.Err() != nil {
		return nil, errors.Join(err, ctx.Err())
	} // else its code says no more than its log
	if _, err := log.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	res, err := parseLog(file, log)
	if err != nil {
		return nil, err
	}
	if res.ran() || !res.ended {
		err = j.stop()
	}
	return res, err
}

// stop stops the servers.
func (j *job) stop() error {
	if j.servers == nil {
		return nil
	}
	err := j.servers.stop()
	j.servers = nil
	return err
}

// line tells of a file in one line.
func (res *results) line(stage string, took time.Duration) string {
	return fmt.Sprintf("%-9s %-32s %4d passed %3d failed %3d known %3d skipped %3d left out by the suite %6.1f s",
		stage, res.file, len(res.passed), len(res.unlisted), res.known, len(res.skipped), res.leftOut, took.Seconds())
}

// report prints what the list does not say, and the sums; false if there was
// anything.
func report(out io.Writer, stage string, all []*results) bool {
	var passed, known, skips int
	agrees := true
	for _, res := range all {
		passed, known, skips = passed+len(res.passed), known+res.known, skips+len(res.skipped)
		for _, test := range res.unlisted {
			fmt.Fprintf(out, "FAILED  %s: %s\n", res.file, test)
		}
		for _, entry := range res.stale {
			fmt.Fprintf(out, "LIST    %s: %s\n", res.file, entry)
		}
		agrees = agrees && len(res.unlisted)+len(res.stale) == 0
	}
	fmt.Fprintf(out, "%s: %d passed, %d failed as listed, %d skipped as listed\n", stage, passed, known, skips)
	return agrees
}
