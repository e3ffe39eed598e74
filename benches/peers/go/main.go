// A peer of Janus on Go's net/http: the answers that Janus gave, read back from files, and items of an NDJSON.
// Use: peer ADDRESS DIRECTORY [NDJSON]
package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Codings in the order of preference, identity last.
var codings = []string{"br", "gzip", "identity"}

type answer struct {
	coding string
	etag   string
	// All header fields of the 200, and those of the 304.
	ok, notModified http.Header
	body            []byte
}

// A body, and values of its header fields that need no work for a request.
type item struct {
	body         []byte
	etag, length []string
}

type site struct {
	answers []answer
	items   map[string]item
}

func (s *site) negotiate(accepted string) *answer {
	for index := range s.answers[:len(s.answers)-1] {
		for token := range strings.SplitSeq(accepted, ",") {
			if strings.TrimSpace(token) == s.answers[index].coding {
				return &s.answers[index]
			}
		}
	}
	return &s.answers[len(s.answers)-1]
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/items" && len(s.answers) > 0 {
		found := s.negotiate(r.Header.Get("Accept-Encoding"))
		if r.Header.Get("If-None-Match") == found.etag {
			set(w.Header(), found.notModified)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		set(w.Header(), found.ok)
		w.Write(found.body)
		return
	}
	found, exists := s.items[strings.TrimPrefix(r.URL.Path, "/items/")]
	if !exists {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	header := w.Header()
	set(header, itemFields)
	header["Etag"] = found.etag
	header["Content-Length"] = found.length
	w.Write(found.body)
}

var itemFields = http.Header{
	"Accept-Ranges": {"bytes"},
	"Content-Type":  {"application/json"},
	"Cache-Control": {"no-cache"},
	"Vary":          {"accept-encoding"},
}

// Values are shared between requests; nobody changes them.
func set(header, fields http.Header) {
	for name, values := range fields {
		header[name] = values
	}
}

func readAnswers(directory string) []answer {
	var answers []answer
	for _, coding := range codings {
		head, err := os.ReadFile(filepath.Join(directory, coding+".head"))
		if err != nil {
			continue
		}
		body, err := os.ReadFile(filepath.Join(directory, coding+".body"))
		if err != nil {
			log.Fatal(err)
		}
		found := answer{coding: coding, ok: http.Header{}, notModified: http.Header{}, body: body}
		for line := range strings.Lines(string(head)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			found.ok.Set(name, value)
		}
		found.etag = found.ok.Get("Etag")
		for _, name := range []string{"Etag", "Cache-Control", "Vary"} {
			found.notModified[name] = found.ok[name]
		}
		answers = append(answers, found)
	}
	return answers
}

// The standard library has no XXH3, so the entity tags are other ones of the same length.
func readItems(path string) map[string]item {
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	items := make(map[string]item)
	for line := range bytes.Lines(text) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		id, _, _ := bytes.Cut(line[len(`{"id":`):], []byte(","))
		tag := fnv.New64a()
		tag.Write(line)
		items[string(id)] = item{
			body:   line,
			etag:   []string{fmt.Sprintf("\"%016x\"", tag.Sum64())},
			length: []string{strconv.Itoa(len(line))},
		}
	}
	return items
}

func main() {
	if len(os.Args) < 3 {
		log.Fatal("peer ADDRESS DIRECTORY [NDJSON]")
	}
	served := &site{answers: readAnswers(os.Args[2])}
	if len(os.Args) > 3 {
		served.items = readItems(os.Args[3])
	}
	if len(served.answers) == 0 && len(served.items) == 0 {
		log.Fatal("nothing to serve in ", os.Args[2])
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal((&http.Server{Handler: served, Protocols: protocols}).Serve(listener))
}
