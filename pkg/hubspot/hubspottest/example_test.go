package hubspottest_test

import (
	"fmt"
	"io"
	"net/http"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// A test acts as HubSpot's users do, and its client sees what HubSpot would
// answer: here a failing server, then a list without the archived record.
func Example() {
	p := hubspottest.New(hubspottest.Options{Seed: 1})
	id := p.Create("contacts", map[string]string{"email": "ada@example.com"})
	p.Archive("contacts", id)
	p.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 502, Endpoint: hubspottest.EndpointList, Count: 1})

	for range 2 {
		r, _ := http.NewRequest("GET", "https://api.hubapi.com/crm/objects/2026-09/contacts", nil)
		r.Header.Set("Authorization", "Bearer pat-na1-test")
		answer, err := p.Client().Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		fmt.Println(answer.StatusCode, len(body) > 0)
	}
	fmt.Println(len(p.Records("contacts")), len(p.Archived("contacts")), p.Stats().Calls[hubspottest.EndpointList])
	// Output:
	// 502 true
	// 200 true
	// 0 1 2
}
