package hubspot

// ObjectType is a type of CRM records.
type ObjectType struct {
	Name             string // of the type in settings and topics: path name of a standard type, fully qualified name of a custom one
	TypeID           string // 0-1; "" where HubSpot's pages do not tell it
	Path             string // what stands in addresses
	ModifiedProperty string // what a search filters on
	CreatedProperty  string
	Custom           bool
}

// The property that holds the time of the last change. Contacts alone are
// searched by the old name: a search on hs_lastmodifieddate finds none of them
// (docs/hubspot.md section 5).
const (
	lastModified        = "hs_lastmodifieddate"
	lastModifiedContact = "lastmodifieddate"
)

// standardTypes is docs/hubspot.md section 5 in its order, which also decides
// which end of a pair of types is "from" (docs/contract.md section 5): append,
// never reorder. Not in it: marketing events, forecasts and lists, which have
// other APIs, and partner_clients, which cannot be batch read.
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
	{"orders", "0-123", "hs_createdate"}, // the docs say createdate, live records have only this one
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
// that decides the direction of an association pair. A token may not be
// allowed to read all of them.
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

// ObjectType returns how the records of a custom object are read: addressed by
// objectTypeId, because a bare name fails on some endpoints and may collide
// with a standard one, and named by the fully qualified name.
func (s ObjectSchema) ObjectType() ObjectType {
	return ObjectType{
		Name: s.FullyQualifiedName, TypeID: s.ObjectTypeID, Path: s.ObjectTypeID,
		ModifiedProperty: lastModified, CreatedProperty: "hs_createdate",
		Custom: true,
	}
}
