package hubspottest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

var (
	firstNames = strings.Fields("Ada Bo Cleo Dario Edda Finn Greta Hugo Ines Jory Kaia Levi Mira Nils Odile Pavel Quinn Rosa Sami Tove Uma Viggo Wanda Xenia Yara Zeno")
	lastNames  = strings.Fields("Abram Birke Castello Dahl Ebers Falk Grimm Holt Ivarsen Jonker Kestrel Lindqvist Marlow Norden Okoro Pell Quist Rowan Sorel Thorne Umber Vance Wexley Yarrow Zeller")
	trades     = strings.Fields("Anchor Bramble Cobalt Drift Ember Fjord Granite Harbor Iris Juniper Kiln Lantern Meadow Nimbus Orchard Pebble Quarry Ridge Saffron Timber")
	companies  = strings.Fields("Works Labs Partners Foods Logistics Studio Systems Supply Holding Energy")
	cities     = []string{"Lisbon", "Oslo", "Graz", "Málaga", "Ghent", "Turku", "Kraków", "Boise", "Quito", "Sapporo"}
	countries  = []string{"Portugal", "Norway", "Austria", "Spain", "Belgium", "Finland", "Poland", "United States", "Ecuador", "Japan"}
	jobs       = []string{"Buyer", "Engineer", "Head of Sales", "Founder", "Accountant", "Office Manager"}
	words      = strings.Fields("renewal order question invoice visit sample offer contract delivery spring autumn follow-up")
)

// invent makes up the values of a whole record, the nth of its type. It leaves
// one value in six unset.
func (t *objectType) invent(rng *rand.Rand, n int) values {
	v := make(values, 0, len(t.settable))
	first, last := pick(rng, firstNames), pick(rng, lastNames)
	company := pick(rng, trades) + " " + pick(rng, companies)
	domain := strings.ToLower(strings.ReplaceAll(company, " ", "-")) + ".example.com"
	for _, def := range t.settable { // sorted by name, as values are
		text := ""
		switch def.Name {
		case "email":
			text = strings.ToLower(first) + "." + strings.ToLower(last) + "." + strconv.Itoa(n) + "@example.com"
		case "firstname":
			text = first
		case "lastname":
			text = last
		case "name", "company", "hs_name":
			text = company
		case "dealname":
			text = company + " – " + pick(rng, words)
		case "domain":
			text = domain
		case "website":
			text = "https://" + domain + "/?utm_source=mail&x=<1>"
		default:
			if rng.IntN(6) == 0 && def.Name != "pipeline" && def.Name != "dealstage" {
				continue
			}
			text = inventValue(rng, def)
		}
		v = append(v, value{def.Name, text})
	}
	return v
}

// inventChange makes up new values for one to three properties, either those
// that users set or those that HubSpot calculates. It clears one of the users'
// values in twenty.
func (t *objectType) inventChange(rng *rand.Rand, calculated bool) map[string]string {
	var defs []*Property
	for _, def := range t.settable {
		if def.calculates() == calculated {
			defs = append(defs, def)
		}
	}
	properties := make(map[string]string)
	if len(defs) == 0 {
		return properties
	}
	for range 1 + rng.IntN(3) {
		def := defs[rng.IntN(len(defs))]
		properties[def.Name] = inventValue(rng, def)
		if !calculated && rng.IntN(20) == 0 {
			properties[def.Name] = ""
		}
	}
	return properties
}

func (d *Property) calculates() bool {
	return d.Calculated || strings.HasPrefix(d.FieldType, "calculation_")
}

// inventValue makes up a value in one of the spellings that HubSpot sends for
// the type (docs/hubspot.md section 10). One in hundreds does not fit the type.
func inventValue(rng *rand.Rand, def *Property) string {
	odd := rng.IntN(400)
	switch def.Type {
	case "enumeration":
		if len(def.Options) > 0 {
			return pick(rng, def.Options)
		}
	case "bool":
		return strconv.FormatBool(rng.IntN(2) == 0)
	case "number":
		switch {
		case odd == 0:
			return "about twelve"
		case odd < 40:
			return "0.200000000000000011102230246251565404236316680908203125"
		case odd < 160:
			return strconv.FormatFloat(float64(rng.IntN(1_000_000))/100, 'f', -1, 64)
		}
		return strconv.Itoa(rng.IntN(50_000))
	case "date", "datetime":
		at := time.UnixMilli(1_500_000_000_000 + rng.Int64N(300_000_000_000)).UTC()
		switch {
		case odd == 0:
			return "soon"
		case odd < 40:
			return strconv.FormatInt(at.UnixMilli(), 10)
		case def.Type == "date":
			return at.Format(time.DateOnly)
		}
		return isoTime(at.UnixMilli())
	case "phone_number":
		return fmt.Sprintf("+1 555 01%02d", rng.IntN(100))
	case "object_coordinates":
		return fmt.Sprintf("0-48-%d", rng.IntN(1_000_000))
	}
	switch def.Name {
	case "phone", "mobilephone":
		return fmt.Sprintf("(555) 01%02d", rng.IntN(100))
	case "city":
		return pick(rng, cities)
	case "country":
		return pick(rng, countries)
	case "jobtitle":
		return pick(rng, jobs)
	case "firstname":
		return pick(rng, firstNames)
	case "lastname":
		return pick(rng, lastNames)
	}
	return pick(rng, words) + " " + pick(rng, words) + " " + strconv.Itoa(rng.IntN(1000))
}

func pick(rng *rand.Rand, from []string) string { return from[rng.IntN(len(from))] }
