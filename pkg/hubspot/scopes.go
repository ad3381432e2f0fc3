package hubspot

import (
	"slices"
	"strings"
)

// Scopes are what an operator selects in HubSpot so that a token may read a
// type's records and property definitions. Definitions is "" if Records covers
// both.
type Scopes struct{ Records, Definitions string }

// All lists the scopes that are not "".
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
	// ScopesPage is where HubSpot's users grant scopes.
	ScopesPage = "HubSpot: Settings, Integrations, Service keys (or Private apps), the key's scopes"
)

// typeScopes are the scopes by type, from the security sections of HubSpot's
// OpenAPI files of 2026-09 (objects, properties). The files list the scopes of
// all types together; the names show which scope belongs to which type.
// Engagements and the parts of a line item have no scopes of their own. The
// scopes of tickets, e-mails and deal splits predate the naming scheme. HubSpot
// has not published a scope for contracts.
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

// customScopes cover all custom objects together.
var customScopes = crmScopes("custom")

func crmScopes(name string) Scopes {
	return Scopes{"crm.objects." + name + ".read", "crm.schemas." + name + ".read"}
}

// Scopes returns the scopes that a token needs for the type, or the zero value
// if HubSpot has not published them.
func (t ObjectType) Scopes() Scopes {
	if t.Custom {
		return customScopes
	}
	return typeScopes[t.Name]
}

// SensitiveScope returns the scope for the type's properties of a sensitivity,
// "sensitive" or "highly_sensitive". It is "" if the type has no such scope
// (docs/hubspot.md section 10).
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
	if t.Name == "projects" { // the OpenAPI files have no .v2 for projects
		version = ""
	}
	return strings.TrimSuffix(t.Scopes().Records, "read") + sensitivity + ".read" + version
}

// Clickable reports whether HubSpot's settings show the scope that an answer
// names. Some answers use internal names ("custom-object-read").
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

// scopesOf are the scopes that a token needs for a path of the API, as far as that
// names an object type.
func scopesOf(path string) []string {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(parts) < 3 || parts[0] != "crm" {
		return nil
	}
	scopes := func(name string) Scopes {
		all := StandardTypes()
		i := slices.IndexFunc(all, func(t ObjectType) bool { return t.Name == name || t.TypeID == name })
		if i < 0 {
			return customScopes
		}
		return all[i].Scopes()
	}
	switch api := parts[1]; {
	case api == "owners":
		return []string{ScopeOwners}
	case len(parts) < 4:
		return nil
	case api == "properties":
		return scopes(parts[3]).All()
	case api == "associations" && len(parts) > 4:
		return slices.Compact([]string{scopes(parts[3]).Records, scopes(parts[4]).Records})
	}
	return []string{scopes(parts[3]).Records}
}
