package fleet

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/group"
)

// Holder is the address, or the host, of the instance of a fleet that has the portal
// whose topics begin with prefix, as in hubspot.acme; "": there is none. An instance
// that does not answer has it, as long as the group says so and no other one tells that
// it has it. others carries the requests to instances; nil: over the network.
func Holder(ctx context.Context, kafka []kgo.Opt, prefix string, others http.RoundTripper) (string, error) {
	at := strings.LastIndexByte(prefix, '.')
	if at < 0 {
		return "", nil
	}
	cl, err := kgo.NewClient(kafka...)
	if err != nil {
		return "", err
	}
	defer cl.Close()
	topic, name := Name(prefix[:at]), prefix[at+1:]
	members, err := group.Members(ctx, kadm.NewClient(cl), topic)
	if errors.Is(err, kerr.GroupAuthorizationFailed) { // the prefix may only look like a fleet's
		return "", nil
	}
	silent := ""
	for _, m := range members {
		if m.Died {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, othersPatience)
		s, err := ask(asking, &m, others)
		cancel()
		at := cmp.Or(m.Address, strings.TrimPrefix(m.Host, "/"))
		switch {
		case slices.ContainsFunc(s.Portals, func(p Portal) bool { return p.Name == name }):
			return at, nil
		case err != nil && len(m.Partitions[topic]) > 0:
			silent = at
		}
	}
	return silent, err
}
