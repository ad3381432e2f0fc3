package hubspottest

import (
	"strconv"
	"strings"
	"unicode"
)

// serveSchemas answers GET /crm-object-schemas/{ver}/schemas: custom objects
// only, all at once.
func (p *Portal) serveSchemas(c *call) (int, []byte, *failure) {
	if fail := p.mayReadSchemas(); fail != nil {
		return 0, nil, fail
	}
	archived, fail := c.flag("archived")
	if fail != nil {
		return 0, nil, fail
	}
	results := []schemaJSON{}
	for _, t := range p.types {
		if t.custom && t.archivedSchema == archived && (!t.removed || t.archivedSchema) {
			schema, fail := p.schema(c, t)
			if fail != nil {
				return 0, nil, fail
			}
			results = append(results, schema)
		}
	}
	return 200, encode(map[string]any{"results": results}), nil
}

// serveSchema answers GET /crm-object-schemas/{ver}/schemas/{type}, for
// standard types too.
func (p *Portal) serveSchema(c *call) (int, []byte, *failure) {
	var t *objectType
	for _, other := range p.types {
		if other.names(c.object) && (!other.removed || other.archivedSchema) {
			t = other
		}
	}
	if t == nil {
		return 0, nil, notFound("Unable to find object type with name or id: " + c.object)
	}
	var fail *failure
	if t.custom {
		fail = p.mayReadSchemas()
	} else if need := definitionScopes(&t.standard); !p.allowed(need...) {
		fail = missingScopes(need)
	}
	if fail != nil {
		return 0, nil, fail
	}
	schema, fail := p.schema(c, t)
	if fail != nil {
		return 0, nil, fail
	}
	return 200, encode(schema), nil
}

func (p *Portal) mayReadSchemas() *failure {
	if p.allowed("crm.schemas.custom.read", "crm.objects.custom.read") {
		return nil
	}
	return missingSchemaScopes()
}

type schemaJSON struct {
	Labels                     labelsJSON     `json:"labels"`
	RequiredProperties         []string       `json:"requiredProperties"`
	SearchableProperties       []string       `json:"searchableProperties"`
	PrimaryDisplayProperty     string         `json:"primaryDisplayProperty"`
	SecondaryDisplayProperties []string       `json:"secondaryDisplayProperties"`
	Description                string         `json:"description"`
	AllowsSensitiveProperties  bool           `json:"allowsSensitiveProperties"`
	Archived                   bool           `json:"archived"`
	Restorable                 bool           `json:"restorable"`
	MetaType                   string         `json:"metaType"`
	ID                         string         `json:"id"`
	FullyQualifiedName         string         `json:"fullyQualifiedName"`
	CreatedAt                  string         `json:"createdAt,omitempty"`
	UpdatedAt                  string         `json:"updatedAt,omitempty"`
	CreatedByUserID            *int           `json:"createdByUserId"`
	UpdatedByUserID            *int           `json:"updatedByUserId"`
	ObjectTypeID               string         `json:"objectTypeId"`
	Properties                 []propertyJSON `json:"properties"`
	Associations               []pairJSON     `json:"associations"`
	Name                       string         `json:"name"`
}

type labelsJSON struct {
	Singular string `json:"singular"`
	Plural   string `json:"plural"`
}

// pairJSON is a type of association in a schema, with the members of recorded
// ones. Its cardinalities are those of unlimited links.
type pairJSON struct {
	FromObjectTypeID    string  `json:"fromObjectTypeId"`
	ToObjectTypeID      string  `json:"toObjectTypeId"`
	Name                string  `json:"name"`
	Cardinality         string  `json:"cardinality"`
	InverseCardinality  string  `json:"inverseCardinality"`
	UserEnforcedMaxTo   bool    `json:"hasUserEnforcedMaxToObjectIds"`
	UserEnforcedMaxFrom bool    `json:"hasUserEnforcedMaxFromObjectIds"`
	MaxTo               int     `json:"maxToObjectIds"`
	MaxFrom             int     `json:"maxFromObjectIds"`
	ID                  string  `json:"id"`
	CreatedAt           *string `json:"createdAt"`
	UpdatedAt           *string `json:"updatedAt"`
}

func (lt *linkType) schema() pairJSON {
	name := lt.pair.from.singular + "_to_" + lt.pair.to.singular
	if lt.label != "" {
		name += "_" + strings.ReplaceAll(lt.label, " ", "_")
	}
	const many, unlimited = "ONE_TO_MANY", 10000
	return pairJSON{
		FromObjectTypeID: lt.pair.from.typeID, ToObjectTypeID: lt.pair.to.typeID, Name: strings.ToUpper(name),
		Cardinality: many, InverseCardinality: many, MaxTo: unlimited, MaxFrom: unlimited, ID: strconv.Itoa(lt.id),
	}
}

// schema builds an ObjectSchema. The name of a standard type is in capitals
// (CONTACT), that of a custom type is its bare name.
func (p *Portal) schema(c *call, t *objectType) (schemaJSON, *failure) {
	include := map[string]bool{}
	for _, name := range []string{"includePropertyDefinitions", "includeAssociationDefinitions", "includeAuditMetadata"} {
		yes, fail := c.flagOr(name, true)
		if fail != nil {
			return schemaJSON{}, fail
		}
		include[name] = yes
	}
	_, id, _ := strings.Cut(t.typeID, "-")
	s := schemaJSON{
		RequiredProperties: []string{}, SearchableProperties: []string{}, SecondaryDisplayProperties: []string{},
		PrimaryDisplayProperty: "hs_object_id", Archived: t.archivedSchema, Restorable: true,
		AllowsSensitiveProperties: true, MetaType: "HUBSPOT",
		ID: id, ObjectTypeID: t.typeID,
		Name: strings.ToUpper(t.singular), FullyQualifiedName: strings.ToUpper(t.singular),
		Labels:     labelsJSON{title(t.singular), title(t.name)},
		Properties: []propertyJSON{}, Associations: []pairJSON{},
	}
	if t.custom {
		s.MetaType, s.Name, s.FullyQualifiedName = "PORTAL_SPECIFIC", t.bare, t.name
		s.Labels = labelsJSON{title(t.bare), title(t.bare) + "s"}
	}
	if include["includeAuditMetadata"] {
		s.CreatedAt, s.UpdatedAt = isoTime(t.since), isoTime(t.since)
	}
	if include["includePropertyDefinitions"] {
		for _, def := range t.definitions(false) {
			if def.Sensitivity == "non_sensitive" {
				s.Properties = append(s.Properties, def.json())
			}
		}
	}
	if include["includeAssociationDefinitions"] {
		for _, pr := range t.pairs {
			if pr.to.removed {
				continue
			}
			for _, lt := range pr.types {
				s.Associations = append(s.Associations, lt.schema())
			}
		}
	}
	return s, nil
}

func title(name string) string {
	letters := []rune(strings.ReplaceAll(name, "_", " "))
	letters[0] = unicode.ToUpper(letters[0])
	return string(letters)
}
