//go:build linux

// forward lets programs of this machine reach ports inside the cluster: it listens on 127.0.0.1 here and dials inside
// the network namespace of another process.
//
//	forward -pid 123 -addresses FILE api=6443:127.0.0.1:6443 client=8080:lobby.default.svc.cluster.local:80
//
// NAME=PORT:HOST:PORT: the local port (the next free one if it is taken), and where its connections go; a host that is
// no address is looked up in the cluster's DNS for each of them. What it listens on is written to FILE as lines
// NAME=PORT. It leaves when the process does.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// dialTimeout bounds the look-up and the connection attempt together: both are local, so a longer one will not succeed.
const dialTimeout = 5 * time.Second

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	pid := flag.Int("pid", 0, "process in whose network namespace to dial")
	addresses := flag.String("addresses", "", "file that receives the ports listened on")
	dns := flag.String("dns", "10.96.0.10:53", "the cluster's DNS server")
	flag.Parse()

	gone, err := leaving(*pid)
	if err != nil {
		log.Fatalf("failed to watch process %d: %v", *pid, err)
	}
	inside := &namespace{path: fmt.Sprintf("/proc/%d/ns/net", *pid)}
	inside.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return inside.dial(ctx, network, *dns)
	}}

	var lines strings.Builder
	for _, argument := range flag.Args() {
		name, rest, _ := strings.Cut(argument, "=")
		wanted, target, _ := strings.Cut(rest, ":")
		port, err := strconv.Atoi(wanted)
		if err != nil {
			log.Fatalf("%s: NAME=PORT:HOST:PORT expected", argument)
		}
		listener, err := listen(port)
		if err != nil {
			log.Fatalf("%s: %v", argument, err)
		}
		fmt.Fprintf(&lines, "%s=%d\n", name, listener.Addr().(*net.TCPAddr).Port)
		go serve(listener, inside, target)
	}
	if err := publish(*addresses, lines.String()); err != nil {
		log.Fatal(err)
	}
	<-gone
}

// leaving is closed when the process has ended. A descriptor of the process cannot be fooled by a reused pid.
func leaving(pid int) (<-chan struct{}, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	gone := make(chan struct{})
	go func() {
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if err != unix.EINTR {
				close(gone)
				return
			}
		}
	}()
	return gone, nil
}

// listen takes the wanted port of 127.0.0.1 or the next free one of the hundred that follow.
func listen(wanted int) (net.Listener, error) {
	var err error
	for port := wanted; port < wanted+100; port++ {
		var listener net.Listener
		if listener, err = net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return listener, nil
		}
	}
	return nil, err
}

// publish writes the file in one step: who waits for it never reads half of it.
func publish(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func serve(listener net.Listener, inside *namespace, target string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Printf("failed to accept for %s: %v", target, err)
			time.Sleep(time.Second) // out of descriptors: connections have to end first
			continue
		}
		go carry(client.(*net.TCPConn), inside, target)
	}
}

func carry(client *net.TCPConn, inside *namespace, target string) {
	defer client.Close()
	server, err := inside.connect(target)
	if err != nil {
		log.Printf("failed to reach %s: %v", target, err)
		return
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		io.Copy(server, client)
		server.CloseWrite()
		close(done)
	}()
	io.Copy(client, server)
	client.CloseWrite()
	<-done
}

// namespace dials in the network namespace of another process.
type namespace struct {
	path     string
	resolver *net.Resolver
}

// connect looks the host up, unless it is an address, and connects to it.
func (n *namespace) connect(target string) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, err
	}
	if net.ParseIP(host) == nil {
		found, err := n.resolver.LookupNetIP(ctx, "ip4", host+".")
		if err != nil {
			return nil, err
		}
		host = found[0].String()
	}
	conn, err := n.dial(ctx, "tcp4", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// dial connects to a numeric address. A socket belongs to the namespace of the thread that makes it, so a thread of its
// own enters the namespace; the goroutine ends locked to it, and the runtime then ends the thread instead of using it
// for others. The namespace is opened for each call: an open descriptor would outlive the cluster.
func (n *namespace) dial(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		if err := enter(n.path); err != nil {
			results <- result{err: err}
			return
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		results <- result{conn, err}
	}()
	r := <-results
	return r.conn, r.err
}

func enter(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Setns(fd, unix.CLONE_NEWNET)
}
