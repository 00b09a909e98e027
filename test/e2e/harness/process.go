package harness

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is one program under the harness: its output goes to a file, and it
// can be ended gently or killed and started again with the same arguments.
type Process struct {
	Name string
	Log  string

	path   string
	args   []string
	cmd    *exec.Cmd
	exited chan struct{}
}

// StartProcess runs path with args; stdout and stderr go to dir/NAME.log.
func StartProcess(dir, name, path string, args ...string) (*Process, error) {
	p := &Process{Name: name, Log: filepath.Join(dir, name+".log"), path: path, args: args}
	return p, p.Start()
}

// Start runs the program; its log is appended to over restarts.
func (p *Process) Start() error {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "--- %s: %s %s\n", time.Now().Format(time.RFC3339Nano), p.path, strings.Join(p.args, " "))
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	// A test binary that dies must not leave a control plane behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	exited := make(chan struct{})
	p.cmd, p.exited = cmd, exited
	go func() {
		// The state is read through cmd.ProcessState after exited closes.
		_ = cmd.Wait()
		close(exited)
	}()
	return nil
}

// Exited is closed once the program has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Kill ends the program by SIGKILL and waits until it is gone.
func (p *Process) Kill() { p.end(syscall.SIGKILL, 10*time.Second) }

// Stop ends the program by SIGTERM, and by SIGKILL if it has not ended in 15 s.
func (p *Process) Stop() { p.end(syscall.SIGTERM, 15*time.Second) }

// Pause stops the program where it stands, until Resume.
func (p *Process) Pause() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) }

// Nice sets how far the program stands back for others; 0 is as all begin.
func (p *Process) Nice(by int) error {
	return syscall.Setpriority(syscall.PRIO_PROCESS, p.cmd.Process.Pid, by)
}

// Resume lets a paused program go on.
func (p *Process) Resume() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

func (p *Process) end(signal os.Signal, patience time.Duration) {
	if p == nil || p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.exited:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// ExitCode is the exit status of the ended program, -1 if a signal ended it.
func (p *Process) ExitCode() int {
	<-p.exited
	return p.cmd.ProcessState.ExitCode()
}

// CPU is the user and system time that the program has taken so far.
func (p *Process) CPU() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold spaces; utime and stime are the 12th and 13th behind it.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] {
		value, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("CPU time of %s: %w", p.Name, err)
		}
		ticks += value
	}
	const tick = time.Second / 100 // USER_HZ, fixed for programs
	return time.Duration(ticks) * tick, nil
}

// Running says whether the program has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Tail returns the last lines of the log.
func (p *Process) Tail(lines int) string {
	data, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}

// LogTailsOnFailure prints the tail of each log when the test has failed.
func LogTailsOnFailure(t testing.TB, processes ...*Process) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for _, p := range processes {
			t.Logf("last lines of %s:\n%s", p.Log, p.Tail(40))
		}
	})
}
