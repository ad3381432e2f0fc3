package hubspottest

import (
	"fmt"
	"slices"
	"strings"
)

// Property is a property definition as a user of the portal enters it. Only Name
// is required.
type Property struct {
	Name        string
	Label       string // "": derived from the name
	Type        string // "": string
	FieldType   string // "": HubSpot's usual one for the type
	Description string
	Options     []string // values of an enumeration
	Calculated  bool
	Hidden      bool
	Sensitivity string // "": non_sensitive
	Referenced  string // referencedObjectType

	hubspot          bool // defined by HubSpot, not by the account
	created, updated int64
	archivedAt       int64
}

func (p *Portal) newDefinition(def Property, byHubSpot bool) *Property {
	if def.Name == "" {
		panic("hubspottest: a property needs a name")
	}
	if def.Label == "" {
		def.Label = strings.ReplaceAll(def.Name, "_", " ")
	}
	if def.Type == "" {
		def.Type = "string"
	}
	if def.FieldType == "" {
		def.FieldType = fieldTypes[def.Type]
	}
	if def.FieldType == "" {
		def.FieldType = "text"
	}
	if def.Sensitivity == "" {
		def.Sensitivity = "non_sensitive"
	}
	def.hubspot = byHubSpot
	def.created = p.now()
	if byHubSpot {
		def.created = standardSince
	}
	def.updated = def.created
	return &def
}

// standardSince is when HubSpot made its own properties, before any account:
// milliseconds since 1970-01-01T00:00:00Z.
const standardSince = 1564971669377

var fieldTypes = map[string]string{
	"string": "text", "number": "number", "datetime": "date", "date": "date",
	"enumeration": "select", "bool": "booleancheckbox", "phone_number": "phonenumber",
}

// AddProperty defines a property. It replaces an existing definition; values
// stay.
func (p *Portal) AddProperty(object string, def Property) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.must(object).define(p.newDefinition(def, false))
}

// Properties returns how many properties a type has.
func (p *Portal) Properties(object string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.must(object).defs)
}

// RetypeProperty gives a property another type; the values keep their text.
// fieldType may be "".
func (p *Portal) RetypeProperty(object, name, typ, fieldType string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	def := *t.def(name)
	def.Type, def.FieldType = typ, fieldType
	next := p.newDefinition(def, def.hubspot)
	next.created, next.updated = def.created, p.now()
	t.define(next)
}

// RelabelProperty gives a property another label.
func (p *Portal) RelabelProperty(object, name, label string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	next := *t.def(name)
	next.Label, next.updated = label, p.now()
	t.define(&next)
}

// RemoveProperty archives a definition. Its values vanish from every record,
// and no record's updatedAt moves.
func (p *Portal) RemoveProperty(object, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.must(object)
	def := *t.def(name)
	def.archivedAt = p.now()
	t.oldDefs = append(t.oldDefs, &def)
	t.undefine(name)
	for _, ids := range [][]uint64{t.live, t.archived} {
		for _, id := range ids {
			if st := t.records[id]; st.values.has(name) {
				next := st.copy()
				next.values = st.values.with(name, nil)
				p.put(t, OpPropertyRemoved, next)
			}
		}
	}
}

// define and undefine are the only functions that change definitions.
func (t *objectType) define(def *Property) {
	t.undefine(def.Name)
	t.defs[def.Name] = def
	if !t.derived(def.Name) && def.Name != "hs_merged_object_ids" {
		t.settable = append(t.settable, def)
		slices.SortFunc(t.settable, func(a, b *Property) int { return strings.Compare(a.Name, b.Name) })
	}
}

func (t *objectType) undefine(name string) {
	delete(t.defs, name)
	t.settable = slices.DeleteFunc(t.settable, func(def *Property) bool { return def.Name == name })
}

// def returns the definition of a property, and panics if there is none.
func (t *objectType) def(name string) *Property {
	def := t.defs[name]
	if def == nil {
		panic(fmt.Sprintf("hubspottest: %s has no property %q", t.name, name))
	}
	return def
}

// derived reports whether HubSpot maintains the property itself: answers derive
// it from the record, and users cannot set it.
func (s *standard) derived(name string) bool {
	return name == "hs_object_id" || name == "hs_lastmodifieddate" || name == s.modified || slices.Contains(s.created, name)
}

// systemProperties returns the properties that every type has.
func systemProperties(s *standard) []Property {
	defs := []Property{
		{Name: "hs_object_id", Label: "Record ID", Type: "number"},
		{Name: "hs_lastmodifieddate", Label: "Object last modified date/time", Type: "datetime"},
		{Name: "hs_merged_object_ids", Label: "Merged record IDs", Type: "enumeration", FieldType: "checkbox"},
	}
	if s.modified != "hs_lastmodifieddate" {
		defs = append(defs, Property{Name: s.modified, Label: "Last Modified Date", Type: "datetime"})
	}
	for _, name := range s.created {
		defs = append(defs, Property{Name: name, Label: "Create Date", Type: "datetime"})
	}
	return defs
}

// standardProperties returns a selection of HubSpot's properties of a standard
// type, with every type and fieldType of docs/hubspot.md sections 10 and 13. Most
// calculated ones say calculated:false, as in real portals.
func standardProperties(s *standard) []Property {
	defs := systemProperties(s)
	switch s.name {
	case "contacts":
		return append(defs, []Property{
			{Name: "email", Label: "Email"},
			{Name: "firstname", Label: "First Name"},
			{Name: "lastname", Label: "Last Name"},
			{Name: "phone", Label: "Phone Number", FieldType: "phonenumber"},
			{Name: "company", Label: "Company Name"},
			{Name: "website", Label: "Website URL"},
			{Name: "jobtitle", Label: "Job Title"},
			{Name: "city", Label: "City"},
			{Name: "country", Label: "Country/Region"},
			{Name: "lifecyclestage", Label: "Lifecycle Stage", Type: "enumeration", FieldType: "radio", Options: []string{"subscriber", "lead", "opportunity", "customer"}},
			{Name: "hs_email_optout", Label: "Unsubscribed from all email", Type: "bool"},
			{Name: "date_of_birth", Label: "Date of birth", Type: "date"},
			{Name: "closedate", Label: "Close Date", Type: "datetime"},
			{Name: "associatedcompanyid", Label: "Primary Associated Company ID", Type: "number", Referenced: "COMPANY"},
			{Name: "hubspotscore", Label: "HubSpot Score", Type: "number", FieldType: "calculation_score"},
			{Name: "num_associated_deals", Label: "Number of Associated Deals", Type: "number", FieldType: "calculation_rollup"},
			{Name: "hs_time_in_lead", Label: "Time in Lead", Type: "number", FieldType: "calculation_read_time", Calculated: true},
		}...)
	case "companies":
		return append(defs, []Property{
			{Name: "name", Label: "Company name"},
			{Name: "domain", Label: "Company Domain Name"},
			{Name: "phone", Label: "Phone Number", Type: "phone_number"},
			{Name: "city", Label: "City"},
			{Name: "country", Label: "Country/Region"},
			{Name: "industry", Label: "Industry", Type: "enumeration", Options: []string{"ACCOUNTING", "BANKING", "EDUCATION", "RETAIL"}},
			{Name: "numberofemployees", Label: "Number of Employees", Type: "number"},
			{Name: "annualrevenue", Label: "Annual Revenue", Type: "number"},
			{Name: "is_public", Label: "Is Public", Type: "bool"},
			{Name: "hs_notes_last_activity", Label: "Last Activity", Type: "object_coordinates"},
			{Name: "num_associated_contacts", Label: "Number of Associated Contacts", Type: "number", FieldType: "calculation_rollup"},
		}...)
	case "deals":
		return append(defs, []Property{
			{Name: "dealname", Label: "Deal Name"},
			{Name: "amount", Label: "Amount", Type: "number"},
			{Name: "dealstage", Label: "Deal Stage", Type: "enumeration", FieldType: "radio", Options: []string{"appointmentscheduled", "qualifiedtobuy", "contractsent", "closedwon", "closedlost"}},
			{Name: "pipeline", Label: "Pipeline", Type: "enumeration", Options: []string{"default"}},
			{Name: "closedate", Label: "Close Date", Type: "datetime"},
			{Name: "hs_is_closed", Label: "Is Deal Closed?", Type: "bool", FieldType: "calculation_equation", Calculated: true},
			{Name: "hs_projected_amount", Label: "Weighted amount", Type: "number", FieldType: "calculation_equation"},
			{Name: "hs_open_deal_create_date", Label: "Open deal create date", Type: "number", FieldType: "calculation_equation", Hidden: true},
		}...)
	case "tickets":
		return append(defs, []Property{
			{Name: "subject", Label: "Ticket name"},
			{Name: "content", Label: "Ticket description", FieldType: "textarea"},
			{Name: "hs_pipeline", Label: "Pipeline", Type: "enumeration", Options: []string{"0"}},
			{Name: "hs_pipeline_stage", Label: "Ticket status", Type: "enumeration", Options: []string{"1", "2", "3", "4"}},
			{Name: "hs_ticket_priority", Label: "Priority", Type: "enumeration", Options: []string{"LOW", "MEDIUM", "HIGH"}},
			{Name: "time_to_close", Label: "Time to close", Type: "number", FieldType: "calculation_equation"},
		}...)
	}
	return append(defs, []Property{
		{Name: "hs_name", Label: "Name"},
		{Name: "hs_timestamp", Label: "Activity date", Type: "datetime"},
		{Name: "hs_body", Label: "Body", FieldType: "html"},
		{Name: "hs_amount", Label: "Amount", Type: "number"},
		{Name: "hs_rollup", Label: "Roll-up", Type: "number", FieldType: "calculation_rollup"},
	}...)
}

// serveProperties answers GET /crm/properties/{ver}/{type}. It returns sensitive
// definitions only on request, one sensitivity at a time.
func (p *Portal) serveProperties(c *call) (int, []byte, *failure) {
	t, fail := p.readable(c.object, definitionScopes)
	if fail != nil {
		return 0, nil, fail
	}
	sensitivity := c.query.Get("dataSensitivity")
	switch sensitivity {
	case "":
		sensitivity = "non_sensitive"
	case "non_sensitive":
	case "sensitive", "highly_sensitive":
		if need := sensitiveScopes(&t.standard, sensitivity); !p.allowed(need...) {
			return 0, nil, missingScopes(need)
		}
	default:
		return 0, nil, invalid("dataSensitivity must be one of [non_sensitive, sensitive, highly_sensitive], not %s", sensitivity)
	}
	archived, fail := c.flag("archived")
	if fail != nil {
		return 0, nil, fail
	}
	results := []propertyJSON{}
	for _, def := range t.definitions(archived) {
		if def.Sensitivity == sensitivity {
			results = append(results, def.json())
		}
	}
	return 200, encode(map[string]any{"results": results}), nil
}

// serveProperty answers GET /crm/properties/{ver}/{type}/{name}.
func (p *Portal) serveProperty(c *call) (int, []byte, *failure) {
	t, fail := p.readable(c.object, definitionScopes)
	if fail != nil {
		return 0, nil, fail
	}
	def := p.visible(t, c.id)
	if def == nil {
		return 0, nil, notFound("Property " + c.id + " does not exist")
	}
	return 200, encode(def.json()), nil
}

// definitions returns the current definitions, sorted by name, or the archived
// ones, in the order in which they were archived.
func (t *objectType) definitions(archived bool) []*Property {
	if archived {
		return t.oldDefs
	}
	defs := make([]*Property, 0, len(t.defs))
	for _, def := range t.defs {
		defs = append(defs, def)
	}
	slices.SortFunc(defs, func(a, b *Property) int { return strings.Compare(a.Name, b.Name) })
	return defs
}

type propertyJSON struct {
	UpdatedAt            string       `json:"updatedAt"`
	CreatedAt            string       `json:"createdAt"`
	ArchivedAt           string       `json:"archivedAt,omitempty"`
	Archived             *bool        `json:"archived,omitempty"`
	Name                 string       `json:"name"`
	Label                string       `json:"label"`
	Type                 string       `json:"type"`
	FieldType            string       `json:"fieldType"`
	Description          string       `json:"description"`
	GroupName            string       `json:"groupName"`
	Options              []optionJSON `json:"options"`
	ReferencedObjectType string       `json:"referencedObjectType,omitempty"`
	CreatedUserID        string       `json:"createdUserId,omitempty"`
	UpdatedUserID        string       `json:"updatedUserId,omitempty"`
	DisplayOrder         int          `json:"displayOrder"`
	Calculated           bool         `json:"calculated"`
	ExternalOptions      bool         `json:"externalOptions"`
	HasUniqueValue       bool         `json:"hasUniqueValue"`
	Hidden               bool         `json:"hidden"`
	HubspotDefined       *bool        `json:"hubspotDefined,omitempty"`
	ModificationMetadata modification `json:"modificationMetadata"`
	FormField            bool         `json:"formField"`
	DataSensitivity      string       `json:"dataSensitivity"`
}

type optionJSON struct {
	Label        string `json:"label"`
	Value        string `json:"value"`
	DisplayOrder int    `json:"displayOrder"`
	Hidden       bool   `json:"hidden"`
}

type modification struct {
	Archivable         bool  `json:"archivable"`
	ReadOnlyDefinition bool  `json:"readOnlyDefinition"`
	ReadOnlyOptions    *bool `json:"readOnlyOptions,omitempty"`
	ReadOnlyValue      bool  `json:"readOnlyValue"`
}

// json has the members of recorded definitions: HubSpot's own have hubspotDefined
// and no archived, an account's have archived and user ids.
func (d *Property) json() propertyJSON {
	j := propertyJSON{
		UpdatedAt: isoTime(d.updated), CreatedAt: isoTime(d.created),
		Name: d.Name, Label: d.Label, Type: d.Type, FieldType: d.FieldType,
		Description: d.Description, GroupName: "information",
		Options: []optionJSON{}, ReferencedObjectType: d.Referenced,
		DisplayOrder: -1, Calculated: d.Calculated, Hidden: d.Hidden,
		ModificationMetadata: modification{
			Archivable: true, ReadOnlyDefinition: d.hubspot,
			ReadOnlyValue: d.Calculated || strings.HasPrefix(d.FieldType, "calculation_"),
		},
		FormField: !d.hubspot, DataSensitivity: d.Sensitivity,
	}
	for i, value := range d.Options {
		j.Options = append(j.Options, optionJSON{Label: value, Value: value, DisplayOrder: i})
	}
	yes, archived := true, d.archivedAt != 0
	if d.hubspot {
		j.HubspotDefined = &yes
	} else {
		j.CreatedUserID, j.UpdatedUserID = "12345", "12345"
	}
	if archived || !d.hubspot {
		j.Archived = &archived
	}
	if archived {
		j.ArchivedAt = isoTime(d.archivedAt)
	}
	return j
}
