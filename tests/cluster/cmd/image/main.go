// image packs files into an OCI image archive, without a container engine and without privileges:
//
//	image -o out.tar -name ghcr.io/example/hello -version 1.2.3 -entrypoint /hello SOURCE=DESTINATION...
//
// A source with ",ldd" after it brings its shared libraries along, at the paths where the loader looks for them. Equal
// files give an equal archive: the tag is VERSION-<first digits of the image's hash>, so that no cluster mistakes a
// rebuilt image for the one it has. The reference is printed and written to out.ref; a second run writes nothing.
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

type object = map[string]any

func main() {
	log.SetFlags(0)
	log.SetPrefix("image: ")
	out := flag.String("o", "image.tar", "archive to write")
	name := flag.String("name", "", "image name without tag")
	version := flag.String("version", "", "first part of the tag")
	entrypoint := flag.String("entrypoint", "", "entrypoint, words split at spaces")
	user := flag.String("user", "65532:65532", "user of the image; numeric, so that runAsNonRoot can be checked")
	writable := flag.String("writable", "", "directories that everybody may write to, comma separated")
	flag.Parse()

	files, err := collect(flag.Args())
	if err != nil {
		log.Fatal(err)
	}
	layer, err := pack(files, strings.FieldsFunc(*writable, func(r rune) bool { return r == ',' }))
	if err != nil {
		log.Fatal(err)
	}
	config := encode(object{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config": object{
			"Entrypoint": strings.Fields(*entrypoint),
			"User":       *user,
			"Env":        []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
		},
		"rootfs": object{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	tag := *version + "-" + strings.TrimPrefix(digest(config), "sha256:")[:12]
	reference := *name + ":" + tag
	fmt.Println(reference)

	note := strings.TrimSuffix(*out, ".tar") + ".ref"
	if known, err := os.ReadFile(note); err == nil && string(known) == reference+"\n" {
		if _, err := os.Stat(*out); err == nil {
			return
		}
	}
	if err := write(*out, reference, tag, layer, config); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(note, []byte(reference+"\n"), 0o644); err != nil {
		log.Fatal(err)
	}
}

// collect maps each path in the image to the file of this machine that goes there.
func collect(arguments []string) (map[string]string, error) {
	files := map[string]string{}
	for _, argument := range arguments {
		source, destination, ok := strings.Cut(argument, "=")
		if !ok || !path.IsAbs(destination) {
			return nil, fmt.Errorf("%s: SOURCE=/DESTINATION expected", argument)
		}
		source, linked := strings.CutSuffix(source, ",ldd")
		files[destination] = source
		if linked {
			libraries, err := libraries(source)
			if err != nil {
				return nil, err
			}
			for _, library := range libraries {
				files[library] = library
			}
		}
	}
	return files, nil
}

var resolved = regexp.MustCompile(`(/\S+) \(0x`)

// libraries lists what the loader would load for a program, the loader itself included.
func libraries(program string) ([]string, error) {
	text, err := exec.Command("ldd", program).CombinedOutput()
	if bytes.Contains(text, []byte("not a dynamic executable")) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ldd %s: %w\n%s", program, err, text)
	}
	var found []string
	for _, match := range resolved.FindAllSubmatch(text, -1) {
		found = append(found, string(match[1]))
	}
	return found, nil
}

// pack writes the files as one layer, in the order of their names and without times or owners.
func pack(files map[string]string, writable []string) ([]byte, error) {
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	made := map[string]bool{"/": true}
	var directory func(name string, mode int64) error
	directory = func(name string, mode int64) error {
		if made[name] {
			return nil
		}
		made[name] = true
		if err := directory(path.Dir(name), 0o755); err != nil {
			return err
		}
		return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name[1:] + "/", Mode: mode})
	}
	for _, name := range writable {
		if err := directory(name, 0o1777); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := directory(path.Dir(name), 0o755); err != nil {
			return nil, err
		}
		info, err := os.Stat(files[name])
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(files[name])
		if err != nil {
			return nil, err
		}
		mode := int64(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name[1:], Mode: mode, Size: int64(len(content))}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return layer.Bytes(), nil
}

// write writes the archive in the OCI image layout, aside first: half an archive never has its name.
func write(out, reference, tag string, layer, config []byte) error {
	const kind = "application/vnd.oci.image."
	manifest := encode(object{
		"schemaVersion": 2,
		"mediaType":     kind + "manifest.v1+json",
		"config":        descriptor(kind+"config.v1+json", config),
		"layers":        []object{descriptor(kind+"layer.v1.tar", layer)},
	})
	entry := descriptor(kind+"manifest.v1+json", manifest)
	entry["platform"] = object{"architecture": runtime.GOARCH, "os": "linux"}
	entry["annotations"] = object{
		"io.containerd.image.name":          reference, // the full name; the standard annotation holds the tag alone
		"org.opencontainers.image.ref.name": tag,
	}
	index := encode(object{"schemaVersion": 2, "mediaType": kind + "index.v1+json", "manifests": []object{entry}})

	file, err := os.Create(out + ".new")
	if err != nil {
		return err
	}
	defer file.Close()
	archive := tar.NewWriter(file)
	put := func(name string, content []byte) {
		if err == nil {
			err = archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))})
		}
		if err == nil {
			_, err = archive.Write(content)
		}
	}
	put("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	put("index.json", index)
	for _, blob := range [][]byte{layer, config, manifest} {
		put("blobs/sha256/"+strings.TrimPrefix(digest(blob), "sha256:"), blob)
	}
	if err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(out+".new", out)
}

func descriptor(mediaType string, content []byte) object {
	return object{"mediaType": mediaType, "digest": digest(content), "size": len(content)}
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func encode(value object) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings, numbers and maps of them always encode
	}
	return text
}
