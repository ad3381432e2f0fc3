package stream

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// zipped answers the n-th request with the n-th body, and begins again after the last.
type zipped struct {
	bodies [][]byte
	asked  int
}

func (z *zipped) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	body := z.bodies[z.asked%len(z.bodies)]
	z.asked++
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(bytes.NewReader(body)),
		Header: http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
	}, nil
}

// BenchmarkAssociationSweep is a sweep over a million links of 100,000 records in which
// nothing has changed: the calls, and the processor time of all of it.
func BenchmarkAssociationSweep(b *testing.B) {
	const records, each = 100_000, 10
	rng := rand.New(rand.NewPCG(1, 1))
	contacts, table := cdc.NewTable(), cdc.NewLinkTable()
	http := &zipped{}
	var body strings.Builder
	for i := range records {
		id := hubspot.ID(20_000_000_000 + i*97)
		contacts.Put(id, cdc.Row{Live: true, Version: 1})
		body.WriteString(map[bool]string{true: `{"completedAt":"2026-11-29T00:00:00.000Z","results":[`, false: ","}[i%hubspot.MaxLinks == 0])
		fmt.Fprintf(&body, `{"from":{"id":"%d"},"to":[`, id)
		to := hubspot.ID(9_000_000_000)
		for j := range each {
			to += 1 + hubspot.ID(rng.IntN(1_000_000))
			table.Put(cdc.LinkKey{From: id, To: to, Category: "HUBSPOT_DEFINED", TypeID: 279}, cdc.LinkRow{Live: true})
			fmt.Fprintf(&body, `%s{"toObjectId":%d,"associationTypes":[{"category":"HUBSPOT_DEFINED","typeId":279,"label":null}]}`, map[bool]string{false: ","}[j == 0], to)
		}
		body.WriteString(`]}`)
		if i%hubspot.MaxLinks == hubspot.MaxLinks-1 {
			body.WriteString(`],"startedAt":"2026-11-29T00:00:00.000Z","status":"COMPLETE"}`)
			var zip bytes.Buffer
			w := gzip.NewWriter(&zip)
			_, _ = io.WriteString(w, body.String()) // into memory
			_ = w.Close()
			http.bodies = append(http.bodies, zip.Bytes())
			body.Reset()
		}
	}
	client, err := hubspot.New(hubspot.Config{
		Auth:      hubspot.AccessToken(func() (hubspot.Secret, error) { return "token", nil }),
		Transport: http, Governor: hubspot.NewGovernor(hubspot.Limits{SearchPerSecond: 1000}), Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	out, log := &committed{}, slog.New(slog.DiscardHandler)
	from := NewObject(Object{
		Type: hubspot.ObjectType{Name: "contacts", Path: "contacts"}, Client: client, Log: log,
		Status: NewStatus(client.Now), Metrics: NewMetrics(prometheus.NewRegistry()), Audit: NewAudit(NewMetrics(prometheus.NewRegistry()), time.Minute),
		Lane: cdc.NewLane(cdc.LaneConfig{Object: "contacts", Table: contacts, Content: cdc.NewContent(nil), Committer: out}),
	})
	p := NewPair(&Pair{From: from, FromPath: "contacts", ToPath: "companies", Log: log, Lane: cdc.NewLinkLane(cdc.LinkLaneConfig{
		Pair: cdc.Pair{From: "contacts", To: "companies"}, From: from.Lane, Table: table, Swept: true, Committer: out,
	})}, offsets.Associations{})
	p.Lane.Live()
	began := processorTime()
	for b.Loop() {
		http.asked = 0
		s := AssociationSweep{Pair: p}
		if err := s.pass(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	if len(out.links) > 0 {
		b.Errorf("%d changes", len(out.links))
	}
	b.ReportMetric(float64(http.asked), "calls/sweep")
	b.ReportMetric((processorTime()-began).Seconds()/float64(b.N), "cpu-s/sweep")
}

func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
