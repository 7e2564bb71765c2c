package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// sample writes a program and its settings into a new directory, as files of the given time.
func sample(t *testing.T, when time.Time) []string {
	t.Helper()
	directory := t.TempDir()
	for name, mode := range map[string]os.FileMode{"program": 0o755, "settings": 0o600} {
		file := filepath.Join(directory, name)
		if err := os.WriteFile(file, []byte(name), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, when, when); err != nil {
			t.Fatal(err)
		}
	}
	return []string{directory + "/program=/bin/program", directory + "/settings=/etc/program/settings"}
}

func packed(t *testing.T, arguments []string) []byte {
	t.Helper()
	files, err := collect(arguments)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := pack(files, []string{"/tmp"})
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

func TestEqualFilesOfAnotherTimeAndPlaceGiveAnEqualLayer(t *testing.T) {
	if !bytes.Equal(packed(t, sample(t, time.Unix(1, 0))), packed(t, sample(t, time.Now()))) {
		t.Fatal("the layers differ")
	}
}

func TestAnotherFileGivesAnotherLayer(t *testing.T) {
	arguments := sample(t, time.Unix(1, 0))
	if bytes.Equal(packed(t, arguments), packed(t, arguments[:1])) {
		t.Fatal("the layers are equal")
	}
}

func TestADestinationThatIsNoAbsolutePathIsRefused(t *testing.T) {
	for _, argument := range []string{"/bin/true", "/bin/true=bin/true"} {
		if _, err := collect([]string{argument}); err == nil {
			t.Errorf("%s was taken", argument)
		}
	}
}
