//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
)

func TestAPortThatIsTakenIsPassedOver(t *testing.T) {
	first, err := listen(40000)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	taken := first.Addr().(*net.TCPAddr).Port
	second, err := listen(taken)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if next := second.Addr().(*net.TCPAddr).Port; next <= taken {
		t.Fatalf("%d was taken and got %d", taken, next)
	}
}

func TestTheEndOfTheProcessIsNoticed(t *testing.T) {
	sleeper := exec.Command("sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	gone, err := leaving(sleeper.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
		t.Fatal("it still runs")
	default:
	}
	if err := sleeper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-gone
	_ = sleeper.Wait()
}

// Entering one's own namespace needs CAP_SYS_ADMIN too.
func TestADialInANamespaceReachesAListenerThere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may enter a network namespace")
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	own := &namespace{path: fmt.Sprintf("/proc/%d/ns/net", os.Getpid())}
	conn, err := own.connect(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
