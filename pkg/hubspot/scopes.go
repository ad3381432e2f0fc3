package hubspot

import "strings"

// Scopes are what an operator clicks in HubSpot so that a token may read the
// records of a type and the definitions of its properties. The second is ""
// where the first does for both.
type Scopes struct{ Records, Definitions string }

// All lists the scopes, none of them twice.
func (s Scopes) All() []string {
	var all []string
	for _, name := range []string{s.Records, s.Definitions} {
		if name != "" {
			all = append(all, name)
		}
	}
	return all
}

// Scopes that are not an object type's own.
const (
	ScopeOwners = "crm.objects.owners.read"
	// ScopesPage is where HubSpot's users give them.
	ScopesPage = "HubSpot: Settings, Integrations, Service keys (or Private apps), the key's scopes"
)

// typeScopes are the scopes by type: the security of the operations in
// HubSpot's OpenAPI files of 2026-09 (objects, properties), which list what the
// operations of all types together may need. Which of them is whose follows
// from the names; engagements and the parts of a line item have none of their
// own. The scopes of tickets, e-mails and deal splits are older than the names
// of the others. Of contracts none is published.
var typeScopes = map[string]Scopes{
	"contacts":             crmScopes("contacts"),
	"companies":            crmScopes("companies"),
	"deals":                crmScopes("deals"),
	"tickets":              {"tickets", ""},
	"products":             {"crm.objects.products.read", "e-commerce"},
	"line_items":           crmScopes("line_items"),
	"quotes":               crmScopes("quotes"),
	"communications":       crmScopes("contacts"),
	"feedback_submissions": {"crm.objects.feedback_submissions.read", ""},
	"tasks":                crmScopes("contacts"),
	"notes":                crmScopes("contacts"),
	"meetings":             crmScopes("contacts"),
	"calls":                crmScopes("contacts"),
	"emails":               {"sales-email-read", "crm.schemas.contacts.read"},
	"postal_mail":          crmScopes("contacts"),
	"invoices":             crmScopes("invoices"),
	"subscriptions":        crmScopes("subscriptions"),
	"commerce_payments":    crmScopes("commercepayments"),
	"discounts":            crmScopes("line_items"),
	"fees":                 crmScopes("line_items"),
	"taxes":                crmScopes("line_items"),
	"orders":               crmScopes("orders"),
	"carts":                crmScopes("carts"),
	"leads":                {"crm.objects.leads.read", ""},
	"goal_targets":         {"crm.objects.goals.read", ""},
	"users":                {"crm.objects.users.read", ""},
	"services":             crmScopes("services"),
	"courses":              crmScopes("courses"),
	"listings":             crmScopes("listings"),
	"appointments":         crmScopes("appointments"),
	"projects":             crmScopes("projects"),
	"partner_services":     {"crm.objects.partner-services.read", ""},
	"deal_split":           {"crm.dealsplits.read_write", ""},
}

// customScopes are for the custom objects, all of them together.
var customScopes = crmScopes("custom")

func crmScopes(name string) Scopes {
	return Scopes{"crm.objects." + name + ".read", "crm.schemas." + name + ".read"}
}

// Scopes tells which scopes a token needs for a type; the zero value where
// nobody has written them down.
func (t ObjectType) Scopes() Scopes {
	if t.Custom {
		return customScopes
	}
	return typeScopes[t.Name]
}

// SensitiveScope is the scope for a type's sensitive or highly_sensitive
// properties; "" where the type has none (docs/hubspot.md section 10).
func (t ObjectType) SensitiveScope(sensitivity string) string {
	switch t.Name {
	case "contacts", "companies", "deals", "projects":
	case "tickets":
		return "tickets." + sensitivity + ".v2"
	case "appointments":
		if sensitivity != "sensitive" {
			return ""
		}
	default:
		if !t.Custom {
			return ""
		}
	}
	version := ".v2"
	if t.Name == "projects" { // of these the OpenAPI files have no second version
		version = ""
	}
	return strings.TrimSuffix(t.Scopes().Records, "read") + sensitivity + ".read" + version
}

// Clickable says whether a name that HubSpot's answer gives is one that its
// settings show. Some answers have names of HubSpot's own ("custom-object-read").
func Clickable(scope string) bool {
	if strings.HasPrefix(scope, "crm.") || strings.HasPrefix(scope, "tickets") {
		return true
	}
	for _, s := range typeScopes {
		if s.Records == scope || s.Definitions == scope {
			return true
		}
	}
	return false
}
