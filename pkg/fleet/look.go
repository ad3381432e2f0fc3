package fleet

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// file is what the folder says of a portal.
type file struct {
	File
	read  []Problem // those that reading found
	since time.Time
	cfg   connector.Config
}

// same reports whether a file says what it said. Where it says so does not matter.
func (one *file) same(now *File) bool {
	alike := func(a, b Line) bool { return a.Variable == b.Variable && a.Value == b.Value }
	return slices.EqualFunc(one.Lines, now.Lines, alike) && slices.Equal(one.read, now.Problems)
}

// problems are those of the file, as the status shows them.
func (one *file) problems() (out []stream.Problem) {
	for _, p := range one.Problems {
		out = append(out, stream.Problem{
			Area: "connector", Problem: one.Where(p), Action: "correct the file, or the environment of the process; the portal starts by itself then",
			Runbook: "docs/runbook.md#a-portals-file-is-wrong", Since: one.since.UTC().Truncate(time.Millisecond),
		})
	}
	return out
}

// look begins to read the folder, unless that is under way already: a disk may not
// answer. Until it does, what the folder said before counts.
func (f *Fleet) look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case f.reading <- struct{}{}:
	default:
		if time.Since(f.looked) >= foldersAlike {
			f.cannotRead(errSilent, f.looked)
		}
		return
	}
	f.looked = time.Now()
	go func() { // ends once the disk has answered: nothing else can end it
		f.read()
		<-f.reading
		f.rouse()
	}()
}

var errSilent = errors.New("it does not answer")

// read reads the folder. What cannot be read now stays as it was. Only one goroutine
// reads, so it does without the lock.
func (f *Fleet) read() {
	found, err := f.cfg.Read()
	files := f.files
	if err == nil {
		files, err = f.compare(found)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(files) == 0 && len(f.files) > 0 {
		f.cfg.Log.Warn("the folder has no file of a portal any more; all portals end", "portals", len(f.files))
	}
	f.files = files
	f.cannotRead(err, time.Now())
}

// cannotRead notes why the folder cannot be read; nil: it can. Its caller holds mu.
func (f *Fleet) cannotRead(err error, since time.Time) {
	if f.folder == nil && err != nil {
		f.unread = since
		f.cfg.Log.Error("the folder with the portals' files cannot be read; the portals stay as they were", "err", err)
	}
	f.folder = err
}

// compare returns what the folder says now. A file that says what it said is the same as
// before, and so is one that cannot be read now; the error is about the first of those.
func (f *Fleet) compare(found []File) (files map[string]*file, unread error) {
	files = map[string]*file{}
	for i := range found {
		one := found[i]
		was := f.files[one.Name]
		if was != nil && len(was.Problems) == 0 && (one.Unread != nil || was.same(&one)) {
			files[one.Name] = was
			unread = cmp.Or(unread, one.Unread)
			continue
		}
		now := &file{File: one, since: time.Now()}
		now.read = slices.Clone(one.Problems)
		if len(one.Problems) == 0 {
			now.cfg = f.cfg.Configure(&now.File)
		}
		// What was wrong may be right without another line: a secret's file is there.
		if was != nil && was.same(&one) && slices.Equal(was.Problems, now.Problems) {
			files[one.Name] = was
			continue
		}
		for _, p := range now.Problems {
			f.cfg.Log.Error("a portal's file is wrong; the portal does not run", "portal_name", one.Name, "err", now.Where(p))
		}
		files[one.Name] = now
	}
	return files, unread
}
