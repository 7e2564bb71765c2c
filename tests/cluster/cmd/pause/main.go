// pause holds namespaces open until it is told to go: those of a pod, and, as their first process, those of the whole
// cluster. Orphans are handed to the first process of a pid namespace, so it also buries the dead.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	for {
		select {
		case <-stop:
			return
		case <-died:
			bury()
		}
	}
}

// bury waits for all children that are dead by now; several deaths can arrive as one signal.
func bury() {
	for {
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != nil || pid <= 0 {
			return
		}
	}
}
