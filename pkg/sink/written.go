package sink

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"golang.org/x/sync/errgroup"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// secondLook is the time between the two looks that a loss needs: a broker or a
// registry that has just started may not know everything yet.
const secondLook = 2 * time.Second

// written are the schemas that events and keys were written with. Consumers ask
// the registry for them by their ids for as long as the events are there (R20).
type written struct {
	registry *sr.Client
	log      *slog.Logger
	turn     chan struct{} // one slot: of putting back. Two at once would take each other's IMPORT for the mode to restore

	mu   sync.Mutex
	byID map[int][]offsets.Schema
}

func newWritten(registry *sr.Client, log *slog.Logger) *written {
	return &written{registry: registry, log: log, turn: make(chan struct{}, 1), byID: map[int][]offsets.Schema{}}
}

func (w *written) load(schemas []offsets.Schema) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range schemas {
		w.byID[s.ID] = append(w.byID[s.ID], s)
	}
}

// of returns the schemas of some subjects, or of all if none is named, in the
// order of their ids: that in which they were registered.
func (w *written) of(subjects ...string) []offsets.Schema {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []offsets.Schema
	for _, id := range slices.Sorted(maps.Keys(w.byID)) {
		for _, s := range w.byID[id] {
			if len(subjects) == 0 || slices.Contains(subjects, s.Subject) {
				out = append(out, s)
			}
		}
	}
	return out
}

// add notes that a schema is going to be written with, and returns it if that is
// news. It refuses an id under which events were written with another schema: they
// would no longer be read as what they are.
func (w *written) add(subject string, id int, text string) (*offsets.Schema, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.byID[id] {
		was, err := s.Text()
		if err != nil {
			return nil, err
		}
		if !sameSchema(was, text) {
			return nil, otherSchema(s)
		}
		if s.Subject == subject {
			return nil, nil
		}
	}
	s := offsets.NewSchema(subject, id, text)
	w.byID[id] = append(w.byID[id], s)
	return &s, nil
}

// sameSchema reports whether two texts mean the same schema. Registries may sort
// the members of objects, or write references in another way.
func sameSchema(a, b string) bool {
	if a == b {
		return true
	}
	var x, y any
	if json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y) {
		return true
	}
	same, err := schema.SameFields([]byte(a), []byte(b))
	return err == nil && same
}

// what the registry says of a schema
type standing int

const (
	intact  standing = iota
	missing          // it does not know the id
	other            // it has another schema under the id
	denied           // it does not let this user see the schema
)

func (w *written) look(ctx context.Context, s offsets.Schema) (standing, error) {
	text, err := s.Text()
	if err != nil {
		return intact, err
	}
	now, err := w.registry.SchemaByID(ctx, s.ID)
	var answer *sr.ResponseError
	switch {
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound && answer.ErrorCode != 0:
		return missing, nil // the answer of a registry, not of something in front of it
	case statusOf(err) == http.StatusForbidden:
		return denied, nil
	case err != nil:
		return intact, fmt.Errorf("ask registry for schema %d of %s: %w", s.ID, s.Subject, err)
	case sameSchema(text, now.Schema):
		return intact, nil
	}
	return other, nil
}

// lookAtOnce is how many schemas are asked for at the same time.
const lookAtOnce = 8

// notIntact returns those of some schemas that the registry does not have as they
// were written.
func (w *written) notIntact(ctx context.Context, all []offsets.Schema) (map[standing][]offsets.Schema, error) {
	found := make([]standing, len(all))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(lookAtOnce)
	for i, s := range all {
		g.Go(func() (err error) {
			found[i], err = w.look(gctx, s)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := map[standing][]offsets.Schema{}
	for i, s := range all {
		if found[i] != intact {
			out[found[i]] = append(out[found[i]], s)
		}
	}
	return out, nil
}

// verify makes sure that the registry has the schemas of some subjects, or of all
// if none is named. It puts back those that the registry has lost, where the
// registry allows that. Its result has what is wrong by subject; an error means
// that the registry did not tell.
func (w *written) verify(ctx context.Context, subjects ...string) (map[string]*cdc.RefusedError, error) {
	wrong, err := w.notIntact(ctx, w.of(subjects...))
	if err != nil || len(wrong) == 0 {
		return nil, err
	}
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := wait(ctx, secondLook); err != nil {
		return nil, err
	}
	if wrong, err = w.notIntact(ctx, slices.Concat(wrong[missing], wrong[other], wrong[denied])); err != nil {
		return nil, err
	}
	out := map[string]*cdc.RefusedError{}
	for _, s := range wrong[denied] {
		out[s.Subject] = deniedSchema(s)
	}
	for _, s := range wrong[other] {
		out[s.Subject] = otherSchema(s)
	}
	bySubject := map[string][]offsets.Schema{}
	for _, s := range wrong[missing] {
		bySubject[s.Subject] = append(bySubject[s.Subject], s)
	}
	for subject, schemas := range bySubject {
		if out[subject] != nil {
			continue
		}
		if err := w.putBack(ctx, subject, schemas); err != nil {
			if !forGood(err) {
				return nil, fmt.Errorf("put back the schemas of %s: %w", subject, err)
			}
			out[subject] = lostSchemas(subject, schemas, err)
		}
	}
	return out, nil
}

// errNoImport says that a registry does not take ids.
var errNoImport = errors.New("it does not know the mode IMPORT")

// forGood reports whether a registry has refused to take schemas back, and would
// again.
func forGood(err error) bool {
	status := statusOf(err)
	return errors.Is(err, errNoImport) || status == http.StatusNotImplemented || status != 0 && status < http.StatusInternalServerError
}

// putBack registers schemas under the ids that they had. A registry takes an id
// only in the mode IMPORT. One that does not know the mode (Apicurio answers 204,
// and goes on) would hand out other ids, which may stand for something else.
func (w *written) putBack(ctx context.Context, subject string, schemas []offsets.Schema) (err error) {
	before, err := w.mode(ctx, http.MethodGet, subject, "")
	if err != nil && statusOf(err) != http.StatusNotFound { // 404: the subject has the registry's mode
		return err
	}
	now, err := w.mode(sr.WithParams(ctx, sr.Force), http.MethodPut, subject, importMode)
	if err != nil {
		return err
	}
	if now != importMode {
		return errNoImport
	}
	defer func() {
		// Without ctx: a subject must not stay in this mode.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		method := http.MethodPut
		if before == "" {
			method = http.MethodDelete
		}
		if _, restored := w.mode(sr.WithParams(ctx, sr.Force), method, subject, before); err == nil {
			err = restored
		}
	}()
	for _, s := range schemas {
		text, err := s.Text()
		if err != nil {
			return err
		}
		if _, err := w.registry.RegisterSchema(ctx, subject, avroSchema([]byte(text)), s.ID, -1); err != nil {
			return err
		}
		if now, err := w.look(ctx, s); err != nil || now != intact {
			return cmp.Or(err, errNoImport)
		}
	}
	w.log.Warn("the schema registry had lost schemas that events were written with; they are registered again under their ids",
		"subject", subject, "schemas", len(schemas))
	return nil
}

// takesBack returns why the registry would not take schemas back under their ids,
// as far as it tells without being changed: asked to set a mode that does not exist,
// only a registry that has modes, and lets this user set them, refuses the mode.
func (w *written) takesBack(ctx context.Context, subject string) error {
	const noMode, invalidMode = "NO_MODE", 42204
	_, err := w.mode(ctx, http.MethodPut, subject, noMode)
	var answer *sr.ResponseError
	switch {
	case errors.As(err, &answer) && answer.ErrorCode == invalidMode:
		return nil
	case err == nil || statusOf(err) == http.StatusNotFound || statusOf(err) == http.StatusMethodNotAllowed:
		return errNoImport
	}
	return err
}

const importMode = "IMPORT"

// mode asks for the mode of a subject, or sets it. It is not the client library's:
// that fails at an empty answer, and takes one that names no mode for IMPORT.
func (w *written) mode(ctx context.Context, method, subject, set string) (mode string, err error) {
	var body any
	if method == http.MethodPut {
		body = map[string]string{"mode": set}
	}
	var raw []byte
	if err := w.registry.Do(ctx, method, "/mode/"+url.PathEscape(subject), body, &raw); err != nil {
		return "", err
	}
	var answer struct{ Mode string }
	if len(raw) > 0 {
		err = json.Unmarshal(raw, &answer)
	}
	return answer.Mode, err
}

const restoreRegistry = "restore the registry's content, or set SCHEMA_REGISTRY_URL to the registry that has it"

func otherSchema(s offsets.Schema) *cdc.RefusedError {
	return &cdc.RefusedError{
		Subject: s.Subject,
		What:    fmt.Sprintf("the schema registry has another schema under id %d than the one with which events of subject %s were written, so nobody reads them as what they are", s.ID, s.Subject),
		Cure:    restoreRegistry,
	}
}

func deniedSchema(s offsets.Schema) *cdc.RefusedError {
	return &cdc.RefusedError{
		Subject: s.Subject, Denied: true,
		What: fmt.Sprintf("the schema registry does not let this user read the schema %d of subject %s, with which events were written (403), so nobody knows whether they can be read", s.ID, s.Subject),
		Cure: letUseSubject(s.Subject),
	}
}

func lostSchemas(subject string, schemas []offsets.Schema, err error) *cdc.RefusedError {
	ids := make([]int, len(schemas))
	for i, s := range schemas {
		ids[i] = s.ID
	}
	return &cdc.RefusedError{
		Subject: subject,
		What: fmt.Sprintf("the schema registry has lost the schemas %v of subject %s, with which events were written, and does not let the connector put them back (%v)",
			ids, subject, err),
		Cure: restoreRegistry + ", or let this user set the mode IMPORT of the subject",
	}
}
