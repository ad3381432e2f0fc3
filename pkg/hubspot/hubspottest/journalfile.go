package hubspottest

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
)

// journalFile is a file of the journal: still open, closed but not published, or
// published and with an offset.
type journalFile struct {
	offset string
	joins  int64 // events of this time and before join the file
	due    int64 // when it is published
	lines  []journalLine
	garble bool
}

// journalLine is an event in a file.
type journalLine struct {
	key    string // of JournalCounts; "": not counted
	portal int64
	again  bool // doubled: another file has it too
	text   []byte
}

// journalize puts an event into the open file, or into one of its own if it is late. A
// file takes the events of as much time as leaves each of them a delay from
// Journal.Delay, so those of one moment are in one file.
func (p *Portal) journalize(line journalLine) {
	j, s := &p.journal, &p.opt.Journal
	switch {
	case chance(j.rng, s.Late):
		p.lineAt(line, s.LateBy.draw(j.rng).Milliseconds())
		return
	case chance(j.rng, s.Disorder):
		p.lineAt(line, s.Delay.draw(j.rng).Milliseconds()+j.rng.Int64N(10_000))
		return
	}
	now := p.now()
	switch {
	case j.open == nil || now > j.open.joins:
		delay := s.Delay.draw(j.rng)
		j.open = p.newFile(now+(delay-s.Delay.Min).Milliseconds(), now+delay.Milliseconds())
	case len(j.open.lines) >= s.FileEvents:
		j.open = p.newFile(j.open.joins, j.open.due)
	}
	p.add(j.open, line)
}

func (p *Portal) lineAt(line journalLine, delay int64) { p.add(p.newFile(0, p.now()+delay), line) }

func (p *Portal) newFile(joins, due int64) *journalFile {
	p.publish()
	f := &journalFile{joins: joins, due: due, garble: chance(p.journal.rng, p.opt.Journal.Garbage)}
	p.journal.pending = append(p.journal.pending, f)
	return f
}

func (p *Portal) add(f *journalFile, line journalLine) {
	f.lines = append(f.lines, line)
	if f.garble && line.key != "" && !line.again {
		p.journal.counts.Garbled[line.key]++
	}
}

// publish gives offsets to the files that are due and drops those that are too old.
func (p *Portal) publish() {
	j, now := &p.journal, p.now()
	slices.SortStableFunc(j.pending, func(a, b *journalFile) int { return cmp.Compare(a.due, b.due) })
	for len(j.pending) > 0 && j.pending[0].due <= now {
		f := j.pending[0]
		j.pending = j.pending[1:]
		if f == j.open {
			j.open = nil
		}
		f.offset = p.newOffset(f.due)
		if p.opt.Journal.Disorder > 0 {
			j.rng.Shuffle(len(f.lines), func(a, b int) { f.lines[a], f.lines[b] = f.lines[b], f.lines[a] })
		}
		j.files = append(j.files, f)
	}
	old := now - p.opt.Journal.Retention.Milliseconds()
	j.files = slices.Delete(j.files, 0, max(0, slices.IndexFunc(append(j.files, &journalFile{due: now + 1}), func(f *journalFile) bool { return f.due > old })))
}

// newOffset returns a UUIDv7. Later offsets are larger.
func (p *Portal) newOffset(made int64) string {
	j := &p.journal
	if j.sameMade > 0xfff { // a millisecond has room for 4,096
		made = max(made, j.lastMade+1)
	}
	if made > j.lastMade {
		j.lastMade, j.sameMade = made, 0
	}
	n := j.sameMade
	j.sameMade++
	return fmt.Sprintf("%08x-%04x-7%03x-%04x-%012x", j.lastMade>>16, j.lastMade&0xffff, n&0xfff, 0x8000|j.rng.UintN(0x4000), j.rng.Uint64N(1<<48))
}

// body is the file as it is fetched. Only is the account whose events it has; zero:
// all.
func (f *journalFile) body(only int64) []byte {
	if f.garble {
		return []byte(`{"offset":"` + f.offset + `","journalEvents":[{"type":"crmObj` + "\x00\xff")
	}
	b := []byte(`{"offset":"` + f.offset + `","journalEvents":[`)
	first := true
	for _, line := range f.lines {
		if only != 0 && line.portal != only {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, line.text...)
	}
	return append(b, `],"publishedAt":"`+isoTime(f.due)+`"}`...)
}

// journalEntry is a file's place in the journal and its address.
type journalEntry struct {
	URL       string `json:"url"`
	ExpiresAt string `json:"expiresAt"`
	Offset    string `json:"currentOffset"`
}

// filesHost is where the addresses of files lead, for a portal without a socket.
const filesHost = "https://files.hubspottest.invalid"

func (p *Portal) entry(c *call, f *journalFile) journalEntry {
	expires := p.Now().Add(p.opt.Journal.AddressFor).UnixMilli()
	query := fmt.Sprintf("Expires=%d&Account=%d", expires, c.install())
	host := cmp.Or(c.served, filesHost)
	return journalEntry{
		URL:       host + "/journal-files/" + f.offset + "?" + query + "&Signature=" + p.signature(f.offset, query),
		ExpiresAt: isoTime(expires), Offset: f.offset,
	}
}

func (p *Portal) signature(offset, query string) string {
	mac := hmac.New(sha256.New, p.journal.secret)
	mac.Write([]byte(offset + "?" + query))
	return hex.EncodeToString(mac.Sum(nil))
}

// install is the account that the request is about; zero: all.
func (c *call) install() int64 {
	id, _ := strconv.ParseInt(c.query.Get("installPortalId"), 10, 64)
	return id
}

// serveJournal answers the calls that read the journal.
func (p *Portal) serveJournal(c *call) (int, []byte, *failure) {
	p.publish()
	if c.endpoint == EndpointJournalRead {
		return p.serveJournalRead(c)
	}
	files := p.journal.files
	count := 1
	if c.endpoint == EndpointJournalBatch {
		n, err := strconv.Atoi(c.count)
		if err != nil || n < 1 || n > 100 {
			return 0, nil, invalid("count must be between 1 and 100, not %q", c.count)
		}
		count = n
	}
	switch c.place {
	case "latest":
		files = files[max(0, len(files)-count):]
	case "next":
		i := slices.IndexFunc(files, func(f *journalFile) bool { return f.offset == c.id })
		if i < 0 {
			return 0, nil, notFound("The offset " + c.id + " has expired or does not exist")
		}
		files = files[i+1:]
	}
	files = files[:min(count, len(files))]
	switch {
	case c.endpoint == EndpointJournalBatch:
		return 200, p.batchOf(c, files, nil), nil
	case len(files) == 0:
		return 204, nil, nil
	}
	return 200, encode(p.entry(c, files[0])), nil
}

func (p *Portal) batchOf(c *call, files []*journalFile, unread []string) []byte {
	results := []journalEntry{}
	for _, f := range files {
		results = append(results, p.entry(c, f))
	}
	answer := map[string]any{"status": "COMPLETE", "results": results, "startedAt": isoTime(p.now()), "completedAt": isoTime(p.now())}
	if unread != nil {
		errors := []map[string]any{}
		for _, offset := range unread {
			errors = append(errors, map[string]any{
				"status": "error", "category": "OBJECT_NOT_FOUND", "message": "No journal file has the offset " + offset,
				"context": map[string][]string{"offset": {offset}}, "errors": []any{}, "links": map[string]string{},
			})
		}
		answer["errors"], answer["numErrors"] = errors, len(errors)
	}
	return encode(answer)
}

// serveJournalRead answers POST …/batch/read: fresh addresses for known offsets.
func (p *Portal) serveJournalRead(c *call) (int, []byte, *failure) {
	members, fail := parseObject(c.body, "inputs")
	if fail != nil {
		return 0, nil, fail
	}
	var offsets, unread []string
	if fail := parseMember(members, "inputs", &offsets); fail != nil {
		return 0, nil, fail
	}
	if len(offsets) == 0 || len(offsets) > 100 {
		return 0, nil, invalid("%d inputs are not between 1 and 100", len(offsets))
	}
	var found []*journalFile
	for _, offset := range offsets {
		i := slices.IndexFunc(p.journal.files, func(f *journalFile) bool { return f.offset == offset })
		if i < 0 {
			unread = append(unread, offset)
			continue
		}
		found = append(found, p.journal.files[i])
	}
	status := 200
	if unread != nil {
		status = 207
	}
	return status, p.batchOf(c, found, unread), nil
}

// fileAnswer answers the address of a file, as a store of files does: it wants a
// signature that has not expired and no other authorization, and its refusals have
// nothing of HubSpot's shape.
func (p *Portal) fileAnswer(a *answer, c *call) *answer {
	a.header.Del("X-HubSpot-Correlation-Id")
	refuse := func(status int, code string) *answer {
		a.status = status
		a.header.Set("Content-Type", "application/xml")
		a.body = []byte(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>` + code + `</Code></Error>`)
		return a
	}
	query := "Expires=" + c.query.Get("Expires") + "&Account=" + c.query.Get("Account")
	expires, _ := strconv.ParseInt(c.query.Get("Expires"), 10, 64)
	switch {
	case p.opt.Journal.DownStatus != 0:
		return refuse(p.opt.Journal.DownStatus, "InternalError")
	case c.authorization != "":
		return refuse(400, "InvalidArgument")
	case !hmac.Equal([]byte(c.query.Get("Signature")), []byte(p.signature(c.id, query))):
		return refuse(403, "SignatureDoesNotMatch")
	case p.now() >= expires:
		return refuse(403, "AccessDenied")
	}
	p.publish()
	i := slices.IndexFunc(p.journal.files, func(f *journalFile) bool { return f.offset == c.id })
	if i < 0 {
		return refuse(404, "NoSuchKey")
	}
	account, _ := strconv.ParseInt(c.query.Get("Account"), 10, 64)
	a.header.Set("Content-Type", "application/json")
	a.body = p.journal.files[i].body(account)
	return a
}

// JournalOffsets returns the offsets of the published files, oldest first.
func (p *Portal) JournalOffsets() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.publish()
	var offsets []string
	for _, f := range p.journal.files {
		offsets = append(offsets, f.offset)
	}
	return offsets
}
