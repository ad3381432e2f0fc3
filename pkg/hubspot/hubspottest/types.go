package hubspottest

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// standard is a row of docs/hubspot.md section 5: what HubSpot calls a type.
type standard struct {
	name, singular, typeID string
	modified               string   // the property that holds updatedAt and can be searched
	created                []string // the properties that hold createdAt
	scope                  string   // a scope that allows reading
	defaults               []string // the properties in an answer if the request names none
}

const contactScope = "crm.objects.contacts.read"

// standards are the types of docs/hubspot.md section 5, in its order, with its
// created properties. Where HubSpot's page and a live record disagree (orders),
// the live record decides.
var standards = []standard{
	{"contacts", "contact", "0-1", "lastmodifieddate", []string{"createdate"}, contactScope, []string{"email", "firstname", "lastname"}},
	{"companies", "company", "0-2", "hs_lastmodifieddate", []string{"createdate"}, "crm.objects.companies.read", []string{"domain", "name"}},
	{"deals", "deal", "0-3", "hs_lastmodifieddate", []string{"createdate", "hs_createdate"}, "crm.objects.deals.read", []string{"amount", "closedate", "dealname", "dealstage", "pipeline"}},
	{"tickets", "ticket", "0-5", "hs_lastmodifieddate", []string{"createdate"}, "tickets", []string{"content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority", "subject"}},
	{"products", "product", "0-7", "hs_lastmodifieddate", []string{"createdate"}, "crm.objects.products.read", nil},
	{"line_items", "line_item", "0-8", "hs_lastmodifieddate", []string{"createdate"}, "crm.objects.line_items.read", nil},
	{"quotes", "quote", "0-14", "hs_lastmodifieddate", []string{"hs_createdate"}, "crm.objects.quotes.read", nil},
	{"communications", "communication", "0-18", "hs_lastmodifieddate", []string{"hs_createdate"}, contactScope, nil},
	{"feedback_submissions", "feedback_submission", "0-19", "hs_lastmodifieddate", []string{"hs_createdate"}, "crm.objects.feedback_submissions.read", nil},
	{"tasks", "task", "0-27", "hs_lastmodifieddate", []string{"hs_createdate"}, contactScope, nil},
	{"notes", "note", "0-46", "hs_lastmodifieddate", []string{"hs_createdate"}, contactScope, nil},
	{"meetings", "meeting_event", "0-47", "hs_lastmodifieddate", []string{"hs_createdate"}, contactScope, nil},
	{"calls", "call", "0-48", "hs_lastmodifieddate", []string{"hs_createdate"}, contactScope, nil},
	{"emails", "email", "0-49", "hs_lastmodifieddate", []string{"hs_createdate"}, "sales-email-read", nil},
	{"postal_mail", "postal_mail", "0-116", "hs_lastmodifieddate", []string{"hs_createdate"}, contactScope, nil},
	{"invoices", "invoice", "0-53", "hs_lastmodifieddate", []string{"createdate"}, "crm.objects.invoices.read", nil},
	{"subscriptions", "subscription", "0-69", "hs_lastmodifieddate", []string{"hs_createdate"}, "crm.objects.subscriptions.read", nil},
	{"commerce_payments", "commerce_payment", "0-101", "hs_lastmodifieddate", []string{"createdate"}, "crm.objects.commercepayments.read", nil},
	{"discounts", "discount", "0-84", "hs_lastmodifieddate", []string{"createdate"}, "crm.objects.line_items.read", nil},
	{"fees", "fee", "0-85", "hs_lastmodifieddate", []string{"createdate"}, "crm.objects.line_items.read", nil},
	{"taxes", "tax", "0-86", "hs_lastmodifieddate", []string{"createdate"}, "crm.objects.line_items.read", nil},
	{"orders", "order", "0-123", "hs_lastmodifieddate", []string{"hs_createdate"}, "crm.objects.orders.read", nil},
	{"carts", "cart", "0-142", "hs_lastmodifieddate", []string{"createdate"}, "crm.objects.carts.read", nil},
	{"leads", "lead", "0-136", "hs_lastmodifieddate", []string{"createdate"}, "crm.objects.leads.read", nil},
	{"goal_targets", "goal_target", "0-74", "hs_lastmodifieddate", []string{"hs_createdate"}, "crm.objects.goals.read", nil},
	{"users", "user", "0-115", "hs_lastmodifieddate", []string{"hs_createdate"}, "crm.objects.users.read", nil},
	{"services", "service", "0-162", "hs_lastmodifieddate", []string{"hs_createdate"}, "crm.objects.services.read", nil},
	{"courses", "course", "0-410", "hs_lastmodifieddate", []string{"hs_createdate"}, "crm.objects.courses.read", nil},
	{"listings", "listing", "0-420", "hs_lastmodifieddate", []string{"hs_createdate"}, "crm.objects.listings.read", nil},
	{"appointments", "appointment", "0-421", "hs_lastmodifieddate", []string{"hs_createdate"}, "crm.objects.appointments.read", nil},
	{"projects", "project", "0-970", "hs_lastmodifieddate", []string{"hs_createdate"}, "crm.objects.projects.read", nil},
}

// objectType is a type of the portal, with its definitions, records and links.
type objectType struct {
	standard
	custom         bool
	bare           string // a custom type's own name; name is then its fullyQualifiedName
	since          int64
	noArchivedList bool
	removed        bool // a custom type whose schema was deleted
	archivedSchema bool // a removed type whose schema HubSpot still shows, as archived

	defs      map[string]*Property
	settable  []*Property // the current ones that are not derived, sorted by name
	oldDefs   []*Property // removed properties, which the properties API shows as archived
	records   map[uint64]*state
	binOldest int64             // no archivedAt is earlier
	gone      map[uint64]bool   // ids of purged and merged records
	live      []uint64          // ids, ascending
	archived  []uint64          // ids, ascending
	aliases   map[uint64]uint64 // loser of a merge → survivor (which may be a loser itself)
	pairs     []*pair           // with the types that this type's records can be associated with
	history   []change
	index     searchIndex

	pipelines       []Pipeline // a changed one is a new value; the history keeps the old one
	pipelineHistory []ListChange[Pipeline]
}

func newObjectType(std standard) *objectType {
	return &objectType{
		standard:  std,
		defs:      make(map[string]*Property),
		records:   make(map[uint64]*state),
		binOldest: math.MaxInt64,
		gone:      make(map[uint64]bool),
		aliases:   make(map[uint64]uint64),
		index:     newSearchIndex(),
	}
}

func (p *Portal) addStandard(name string) {
	i := slices.IndexFunc(standards, func(s standard) bool { return s.name == name })
	if i < 0 {
		panic(fmt.Sprintf("hubspottest: %q is not a standard object type of HubSpot", name))
	}
	t := newObjectType(standards[i])
	for _, def := range standardProperties(&t.standard) {
		t.define(p.newDefinition(def, true))
	}
	for _, pl := range defaultPipelines(t.name) {
		t.pipelines = append(t.pipelines, pl)
		p.notePipeline(OpCreate, t, pl, true)
	}
	p.types = append(p.types, t)
	p.definePairs(t)
}

// CustomType is a custom object that a user of the portal defined.
type CustomType struct {
	ObjectTypeID       string // 2-n
	FullyQualifiedName string // p{portal}_{name}: what the other methods take
}

// AddCustomType defines a custom object with the given properties and those that
// every custom object has.
func (p *Portal) AddCustomType(name string, properties ...Property) CustomType {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.custom += 1 + p.rng.Uint64N(40)
	fqn := fmt.Sprintf("p%d_%s", p.opt.PortalID, name)
	t := newObjectType(standard{
		name: fqn, singular: fqn, typeID: fmt.Sprintf("2-%d", p.custom),
		modified: "hs_lastmodifieddate", created: []string{"hs_createdate"},
		scope: "crm.objects.custom.read",
	})
	t.custom, t.bare, t.since = true, name, p.now()
	for _, def := range systemProperties(&t.standard) {
		t.define(p.newDefinition(def, true))
	}
	for _, def := range properties {
		t.define(p.newDefinition(def, false))
	}
	p.types = append(p.types, t)
	p.definePairs(t)
	return CustomType{ObjectTypeID: t.typeID, FullyQualifiedName: fqn}
}

// RemoveCustomType deletes a custom object with its records: the call for its
// schema answers 404, and no other call knows the type.
func (p *Portal) RemoveCustomType(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeType(p.mustCustom(name))
}

func (p *Portal) removeType(t *objectType) {
	for _, id := range slices.Concat(t.live, t.archived) {
		next := t.records[id].copy()
		next.gone = true
		p.put(t, OpTypeRemoved, next)
	}
	for _, pl := range t.pipelines {
		p.notePipeline(OpTypeRemoved, t, pl, false)
	}
	t.pipelines, t.removed = nil, true
}

// ArchiveCustomType deletes a custom object in HubSpot's other way: its schema
// stays and says archived.
func (p *Portal) ArchiveCustomType(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.mustCustom(name)
	p.removeType(t)
	t.archivedSchema = true
}

// SetArchivedList sets whether the portal lists a type's archived records.
func (p *Portal) SetArchivedList(name string, supported bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.must(name).noArchivedList = !supported
}

// find resolves a type's name as HubSpot's paths do: the path name, its singular,
// the objectTypeId, and for custom types p_{name} and the fullyQualifiedName. It
// does not know a custom type by its bare name (docs/hubspot.md section 5: that
// fails on some endpoints and may collide with a standard name).
func (p *Portal) find(name string) *objectType {
	for _, t := range slices.Backward(p.types) {
		if t.removed {
			continue
		}
		if t.names(name) {
			p.emptyBin(t)
			return t
		}
	}
	return nil
}

func (t *objectType) names(name string) bool {
	if name == t.name || name == t.typeID || strings.EqualFold(name, t.singular) {
		return true
	}
	bare, ok := strings.CutPrefix(name, "p_")
	return t.custom && ok && bare == t.bare
}

func (p *Portal) must(name string) *objectType {
	t := p.find(name)
	if t == nil {
		panic(fmt.Sprintf("hubspottest: the portal has no object type %q", name))
	}
	return t
}

// known finds a type, even one that has been removed.
func (p *Portal) known(name string) *objectType {
	for _, t := range slices.Backward(p.types) {
		if t.names(name) {
			return t
		}
	}
	return p.must(name)
}

func (p *Portal) mustCustom(name string) *objectType {
	t := p.must(name)
	if !t.custom {
		panic(fmt.Sprintf("hubspottest: %q is not a custom object type", name))
	}
	return t
}

// readable resolves a type for a request, or returns HubSpot's refusal. For a
// standard type that the account does not have, that is a missing scope, because
// such an account cannot grant the scope to a token.
func (p *Portal) readable(name string, scopes func(*standard) []string) (*objectType, *failure) {
	t := p.find(name)
	if t == nil {
		for i := range standards {
			if s := &standards[i]; name == s.name || name == s.typeID || strings.EqualFold(name, s.singular) {
				return nil, missingScopes(scopes(s))
			}
		}
		return nil, &failure{status: 400, message: "Unable to infer object type from: " + name}
	}
	if need := scopes(&t.standard); !p.allowed(need...) {
		return nil, missingScopes(need)
	}
	return t, nil
}

// allowed reports whether the token has one of the scopes.
func (p *Portal) allowed(anyOf ...string) bool {
	if p.scopes == nil {
		return true
	}
	return slices.ContainsFunc(anyOf, func(s string) bool { return p.scopes[s] })
}

func recordScopes(s *standard) []string { return []string{s.scope} }

// visible returns a definition if the token may see it.
func (p *Portal) visible(t *objectType, name string) *Property {
	def := t.defs[name]
	if def == nil || def.Sensitivity != "non_sensitive" && !p.allowed(sensitiveScopes(&t.standard, def.Sensitivity)...) {
		return nil
	}
	return def
}

// definitionScopes returns the scopes for property definitions: that of the
// records or that of the schema, of which either will do.
func definitionScopes(s *standard) []string {
	if rest, ok := strings.CutPrefix(s.scope, "crm.objects."); ok {
		return []string{s.scope, "crm.schemas." + rest}
	}
	return []string{s.scope}
}

// sensitiveScopes returns the scopes for the values and definitions of sensitive
// properties (docs/hubspot.md section 10).
func sensitiveScopes(s *standard, sensitivity string) []string {
	if s.scope == "tickets" {
		return []string{"tickets." + sensitivity, "tickets." + sensitivity + ".v2"}
	}
	base := strings.TrimSuffix(s.scope, ".read")
	return []string{base + "." + sensitivity + ".read", base + "." + sensitivity + ".read.v2"}
}
