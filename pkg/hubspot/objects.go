package hubspot

// ObjectType is a type of CRM records.
type ObjectType struct {
	// Name is the type's name in settings and topics: the path name of a
	// standard type, the fully qualified name of a custom one.
	Name             string
	TypeID           string // such as 0-1; "" if HubSpot's pages do not give it
	Path             string // used in addresses
	ModifiedProperty string // the property that a search filters on
	CreatedProperty  string
	Custom           bool
}

// The property that holds the time of the last change. Contacts alone use the
// old name: a search for them by hs_lastmodifieddate finds none
// (docs/hubspot.md section 5).
const (
	lastModified        = "hs_lastmodifieddate"
	lastModifiedContact = "lastmodifieddate"
)

// standardTypes lists the types of docs/hubspot.md section 5 in its order. The
// order also decides which type of a pair is "from" (docs/contract.md section
// 5): append, never reorder. Marketing events, forecasts and lists are not
// here because they have other APIs, nor partner_clients because it has no
// batch read.
var standardTypes = []struct{ name, id, created string }{
	{"contacts", "0-1", "createdate"},
	{"companies", "0-2", "createdate"},
	{"deals", "0-3", "createdate"},
	{"tickets", "0-5", "createdate"},
	{"products", "0-7", "createdate"},
	{"line_items", "0-8", "createdate"},
	{"quotes", "0-14", "hs_createdate"},
	{"communications", "0-18", "hs_createdate"},
	{"feedback_submissions", "0-19", "hs_createdate"},
	{"tasks", "0-27", "hs_createdate"},
	{"notes", "0-46", "hs_createdate"},
	{"meetings", "0-47", "hs_createdate"},
	{"calls", "0-48", "hs_createdate"},
	{"emails", "0-49", "hs_createdate"},
	{"postal_mail", "0-116", "hs_createdate"},
	{"invoices", "0-53", "createdate"},
	{"subscriptions", "0-69", "hs_createdate"},
	{"commerce_payments", "0-101", "createdate"},
	{"discounts", "0-84", "createdate"},
	{"fees", "0-85", "createdate"},
	{"taxes", "0-86", "createdate"},
	{"orders", "0-123", "hs_createdate"}, // HubSpot's page says createdate; records have only this
	{"carts", "0-142", "createdate"},
	{"leads", "0-136", "createdate"},
	{"goal_targets", "0-74", "hs_createdate"},
	{"users", "0-115", "hs_createdate"},
	{"services", "0-162", "hs_createdate"},
	{"courses", "0-410", "hs_createdate"},
	{"listings", "0-420", "hs_createdate"},
	{"appointments", "0-421", "hs_createdate"},
	{"projects", "0-970", "hs_createdate"},
	{"contracts", "", "hs_createdate"},
	{"partner_services", "", "hs_createdate"},
	{"deal_split", "", "hs_createdate"},
}

// StandardTypes returns the types that HubSpot itself defines, in the order
// that decides the direction of an association pair. A token may lack the scope
// for some of them.
func StandardTypes() []ObjectType {
	types := make([]ObjectType, len(standardTypes))
	for i, t := range standardTypes {
		types[i] = ObjectType{
			Name: t.name, TypeID: t.id, Path: t.name,
			ModifiedProperty: lastModified, CreatedProperty: t.created,
		}
		if t.name == "contacts" {
			types[i].ModifiedProperty = lastModifiedContact
		}
	}
	return types
}

// ObjectType returns the custom object as an ObjectType. Its name is the fully
// qualified name. Its path is the objectTypeId, because a bare name fails on
// some endpoints and may collide with a standard one.
func (s ObjectSchema) ObjectType() ObjectType {
	return ObjectType{
		Name: s.FullyQualifiedName, TypeID: s.ObjectTypeID, Path: s.ObjectTypeID,
		ModifiedProperty: lastModified, CreatedProperty: "hs_createdate",
		Custom: true,
	}
}
