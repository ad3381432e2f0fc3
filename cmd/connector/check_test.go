package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// checked is what one connector check wrote, as --json and as a table.
type checked struct {
	t *testing.T
	report
	table string
	err   error
	took  time.Duration
}

// inspect runs the command in the world, twice: both ways of writing must say the
// same. extra are environment variables that stand above the world's.
func (w *world) inspect(extra ...string) *checked {
	w.t.Helper()
	env := append(slices.Clone(w.env), extra...)
	net := network{hubspot: w.portal.Transport(), registry: w.registry, kafka: []kgo.Opt{kgo.Dialer(w.brokers.DialContext)}}
	c := &checked{t: w.t}
	var text bytes.Buffer
	began := time.Now()
	c.err = check(w.t.Context(), env, net, true, &text)
	c.took = time.Since(began)
	if err := json.Unmarshal(text.Bytes(), &c.report); err != nil {
		w.t.Fatalf("connector check --json wrote what is no JSON (%v, error %v): %s", err, c.err, text.Bytes())
	}
	var table bytes.Buffer
	second := check(w.t.Context(), env, net, false, &table)
	c.table = table.String()
	if exitCode(c.err) != exitCode(second) && c.err != nil {
		w.t.Errorf("connector check ended with %v, with --json %v", second, c.err)
	}
	for _, f := range c.Findings {
		if !strings.Contains(c.table, f.Check) {
			w.t.Errorf("%s stands in the JSON and not in the table", f.Check)
		}
		if f.Status == isWrong && len(f.Todo) == 0 {
			w.t.Errorf("nothing says what to do about %s: %s", f.Check, f.Found)
		}
	}
	for _, secret := range []string{canary, brokerCanary} {
		if strings.Contains(text.String()+c.table, secret) {
			w.t.Error("a secret stands in what connector check writes")
		}
	}
	return c
}

const brokerCanary = "kafka-canary-8d1f"

// is checks the exit code.
func (c *checked) is(code int) *checked {
	c.t.Helper()
	got := exitOK
	if c.err != nil {
		got = exitCode(c.err)
	}
	if got != code || c.Code != code || c.OK != (code == exitOK) {
		c.t.Errorf("exit code %d (%d, ok %v in the JSON), want %d:\n%s", got, c.Code, c.OK, code, c.table)
	}
	return c
}

// says checks that there is a finding of a status about a subject ("": any),
// with all texts in it or in what to do about it.
func (c *checked) says(check, subject string, s status, texts ...string) {
	c.t.Helper()
	for _, f := range c.Findings {
		all := f.Found + "\n" + strings.Join(f.Todo, "\n")
		if f.Check == check && f.Status == s && (subject == "" || strings.Contains(f.Subject, subject)) &&
			!slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(all, text) }) {
			return
		}
	}
	c.t.Errorf("no %s of %s about %q with %q:\n%s", s, check, subject, texts, c.table)
}

// silent checks that nothing of the area is wrong.
func (c *checked) silent(areas ...string) {
	c.t.Helper()
	for _, f := range c.Findings {
		if slices.Contains(areas, f.Area) && (f.Status == isWrong || f.Status == isWarn) {
			c.t.Errorf("%s of %s about %q: %s", f.Status, f.Check, f.Subject, f.Found)
		}
	}
}

var threeTypes = []string{"HUBSPOT_OBJECTS=contacts,companies,deals"}

// TestCheck_AllIsWell: against a portal, brokers and a registry that are as
// they should be, nothing is wrong, and nothing is written anywhere.
func TestCheck_AllIsWell(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 1}, nil, func(w *world) {
		w.portal.Seed("contacts", 250)
		c := w.inspect().is(exitOK)
		c.silent(areas...)
		c.says("token", "", isOK, "service key")
		c.says("account", "4242", isOK, "STANDARD", "US/Eastern", "na1")
		c.says("limit_ten_seconds", "", isOK, "190 calls", "HubSpot says")
		c.says("limit_day", "", isOK, "625,000", "125,000")
		c.says("object_type", "contacts", isOK, "readable")
		c.says("transaction_version", "", isOK, "2")
		c.says("state", "", isOK, "none")
		c.says("compatibility", "(global)", isOK)
		c.says("to_be_created", "", isOK, "hubspot.offsets, hubspot.state, hubspot.contacts, hubspot.companies, hubspot.deals")
		if p := c.Plan; p == nil || p.Records != 250 || p.Backfill.Calls != 5 || len(p.ToCreate) < 5 {
			t.Errorf("plan: %+v", p)
		}
		if topics := w.topics(); len(topics) > 0 {
			t.Errorf("a check made the topics %v", topics)
		}
		if subjects := w.subjects(); len(subjects) > 0 {
			t.Errorf("a check registered %v", subjects)
		}
	})
}

// TestCheck_DisturbsNoRun: beside a run a check sees its topics and the group,
// and the run goes on as the owner, fenced by nobody.
func TestCheck_DisturbsNoRun(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 2}, threeTypes, func(w *world) {
		w.portal.Seed("contacts", 250)
		p := w.start()
		w.sleepUntil(5*time.Minute, func() bool { return p.backfilled(250, []string{"contacts"}) && p.streams() })
		time.Sleep(time.Minute)
		before := w.records("hubspot.contacts")
		c := w.inspect().is(exitOK)
		c.silent("kafka", "access", "topics", "registry", "scopes")
		c.says("owner", "hubspot.owner", isNote, "stand by")
		c.says("state", "4242", isOK, "3 object types")
		c.says("topic", "hubspot.contacts", isOK, "partitions 3", "cleanup.policy compact", "keys string")
		c.says("schemas", "", isOK, "unchanged: 5") // and those of pipelines and stages
		if c.Plan.Records != 250 || len(c.Plan.ToCreate) != 0 || c.Plan.Backfill.Calls != 0 {
			t.Errorf("plan: %+v", c.Plan)
		}
		if !p.streams() || p.terms() != 1 {
			t.Errorf("the run is not the owner as before: %+v, terms %d", p.ready(), p.terms())
		}
		if after := w.records("hubspot.contacts"); len(after) != len(before) {
			t.Errorf("records of hubspot.contacts: %d, before the check %d", len(after), len(before))
		}
		p.stop()
	})
}

// TestCheck_NamesMissingScopes: with a token that lacks two scopes a check names
// both, as what to click; a type that the operator asks for is a problem, any
// other a note (issue 5).
func TestCheck_NamesMissingScopes(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 3, Scopes: []string{"crm.objects.contacts.read", "crm.schemas.deals.read", "crm.objects.owners.read"}}
	inWorld(t, opt, nil, func(w *world) {
		c := w.inspect().is(exitOK)
		c.says("object_type", "contacts", isOK)
		c.says("object_type", "companies", isNote, "crm.objects.companies.read", "crm.schemas.companies.read")
		c.says("object_type", "deals", isNote, "click crm.objects.deals.read")
		c.says("custom_objects", "", isNote, "crm.objects.custom.read", "crm.schemas.custom.read")

		c = w.inspect(threeTypes...).is(exitFailed)
		c.says("object_type", "companies", isWrong, "click crm.objects.companies.read and crm.schemas.companies.read", "HUBSPOT_OBJECTS")
		c.says("object_type", "deals", isWrong, "click crm.objects.deals.read (")
		for _, scope := range []string{"crm.objects.companies.read", "crm.objects.deals.read"} {
			if !strings.Contains(c.table, scope) {
				t.Errorf("the table does not name %s:\n%s", scope, c.table)
			}
		}

		w.portal.SetScopes("oauth")
		c = w.inspect().is(exitFailed)
		c.says("object_types", "", isWrong, "no object type")
		c.says("owners", "", isWarn, "crm.objects.owners.read")
	})
}

// TestCheck_SensitiveScopes: sensitive properties that are asked for and cannot
// be read are named with their scope.
func TestCheck_SensitiveScopes(t *testing.T) {
	t.Parallel()
	scopes := []string{"crm.objects.contacts.read", "crm.objects.owners.read", "crm.objects.custom.read"}
	env := []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_SENSITIVE=sensitive"}
	inWorld(t, hubspottest.Options{Seed: 4, Scopes: scopes}, env, func(w *world) {
		w.inspect().is(exitOK).says("object_type", "contacts", isWarn, "crm.objects.contacts.sensitive.read.v2")
		w.portal.SetScopes(append(scopes, "crm.objects.contacts.sensitive.read.v2")...)
		w.inspect().is(exitOK).says("object_type", "contacts", isOK)
	})
}

// TestCheck_Configuration: what is wrong in the configuration ends a check as it
// ends a run, also what only HubSpot can tell.
func TestCheck_Configuration(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 5}, nil, func(w *world) {
		err := check(w.t.Context(), append(slices.Clone(w.env), "KAFKA_PARTITIONS=0"), network{}, false, &bytes.Buffer{})
		var config *configError
		if !errors.As(err, &config) || exitCode(err) != exitConfig {
			t.Errorf("KAFKA_PARTITIONS=0: %v", err)
		}
		w.inspect("HUBSPOT_OBJECTS=contacts,butterflies").is(exitConfig).says("object_type", "", isWrong, "butterflies")
		w.inspect("HUBSPOT_ASSOCIATIONS=contacts:butterflies").is(exitConfig).says("associations", "", isWrong, "butterflies")
		w.inspect("HUBSPOT_OBJEKTS=contacts").is(exitOK).says("environment", "HUBSPOT_OBJEKTS", isWarn, "slip of the pen")
	})
}

// TestCheck_OneThingAwayHidesNothingElse: what is away is said plainly and in
// time, and everything else is looked at all the same.
func TestCheck_OneThingAwayHidesNothingElse(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 6, Tokens: []string{canary}}, threeTypes, func(w *world) {
		{ // wrong token
			w.portal.SetTokens("pat-another")
			c := w.inspect().is(exitFailed)
			c.says("token", "", isWrong, "HubSpot refuses it", "401", "HUBSPOT_ACCESS_TOKEN")
			c.silent("kafka", "access", "registry")
			if c.Plan != nil {
				t.Errorf("there is a plan: %+v", c.Plan)
			}
			w.portal.SetTokens(canary)
		}
		{ // HubSpot away
			w.portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultReset})
			c := w.inspect().is(exitFailed)
			c.says("account", "", isWrong, "connection reset", "HUBSPOT_BASE_URL")
			c.silent("kafka", "access", "registry")
			w.portal.ClearFaults()
		}
		{ // HubSpot silent
			w.portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultSlow, Latency: time.Hour})
			w.inspect().is(exitFailed).says("account", "", isWrong, "no answer")
			w.portal.ClearFaults()
		}
		{ // registry away
			w.registry.cut.Store(true)
			c := w.inspect().is(exitFailed)
			c.says("registry", "", isWrong, "connection refused", "SCHEMA_REGISTRY_URL")
			c.silent("hubspot", "kafka", "access", "topics", "scopes")
			c.says("to_be_created", "", isOK, "hubspot.contacts")
			w.registry.cut.Store(false)
		}
		{ // no broker
			w.brokers.cut()
			c := w.inspect().is(exitFailed)
			c.says("broker", "", isWrong, "connection refused", "KAFKA_BROKERS")
			c.silent("hubspot", "scopes", "registry")
			if c.Plan == nil || c.Plan.ToCreate != nil {
				t.Errorf("plan: %+v, want one that knows no topics", c.Plan)
			}
		}
		{ // everything away
			w.portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultReset})
			w.registry.cut.Store(true)
			c := w.inspect().is(exitFailed)
			if c.took > 20*time.Second {
				t.Errorf("took %v, want 20 s at most", c.took)
			}
			c.says("account", "", isWrong)
			c.says("broker", "", isWrong)
			c.says("registry", "", isWrong)
		}
	})
}

// TestCheck_OldTransactions: a cluster whose transaction.version is below 2, and
// one that does not let a transaction last as long as ours, are told apart.
func TestCheck_OldTransactions(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 7}, threeTypes, func(w *world) {
		w.replaceKafka(kfake.MaxVersions(kversion.V3_8_0()))
		w.inspect().is(exitOK).says("transaction_version", "", isWarn, "kafka-features", "transaction.version=2")
		w.replaceKafka(kfake.BrokerConfigs(map[string]string{"transaction.max.timeout.ms": "5000"}))
		w.inspect().is(exitFailed).says("transaction_timeout", "", isWrong, "5000", "60000")
	})
}

// TestCheck_RefusesAsARunDoes: what a run refuses with exit code 3, a check
// finds with the same words.
func TestCheck_RefusesAsARunDoes(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 8}, threeTypes, func(w *world) {
		w.portal.Seed("contacts", 20)
		p := w.start()
		w.sleepUntil(5*time.Minute, func() bool { return p.backfilled(20, []string{"contacts"}) && p.streams() })
		time.Sleep(time.Minute)
		p.stop()
		w.inspect().is(exitOK)

		w.inspect("KAFKA_KEY_FORMAT=avro").is(exitRefused).says("state", "", isWrong, "KAFKA_KEY_FORMAT=string")
		admin := w.client()
		defer admin.Close()
		adm := kadm.NewClient(admin)
		policy := func(value string) {
			t.Helper()
			if _, err := adm.AlterTopicConfigs(w.t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: &value}}, "hubspot.state"); err != nil {
				t.Fatal(err)
			}
		}
		policy("delete")
		w.inspect().is(exitRefused).says("topic", "hubspot.state", isWrong, "cleanup.policy=delete", "kafka-configs")
		policy("compact")
		if _, err := adm.UpdatePartitions(w.t.Context(), 7, "hubspot.contacts"); err != nil {
			t.Fatal(err)
		}
		w.inspect().is(exitRefused).says("topic", "hubspot.contacts", isWrong, "7 partitions", "written with 3")
	})
}

// TestCheck_RefusesAnotherPortal: a prefix belongs to one portal.
func TestCheck_RefusesAnotherPortal(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 8}, threeTypes, func(w *world) {
		p := w.start()
		w.sleepUntil(5*time.Minute, p.streams)
		time.Sleep(time.Minute)
		p.stop()
		w.portal = hubspottest.New(hubspottest.Options{Seed: 9, PortalID: 777})
		w.inspect().is(exitRefused).says("state", "", isWrong, "portal 4242", "KAFKA_TOPIC_PREFIX")
	})
}

// TestCheck_GivesTheAclCommands: a user who may do nothing is told which
// commands allow it; one who may do what they allow has no problem.
func TestCheck_GivesTheAclCommands(t *testing.T) {
	t.Parallel()
	sasl := []string{"KAFKA_SASL_MECHANISM=SCRAM-SHA-256", "KAFKA_SASL_USERNAME=cdc", "KAFKA_SASL_PASSWORD=" + brokerCanary}
	user := func(acls ...kfake.ACL) []kfake.Opt {
		return []kfake.Opt{
			kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("SCRAM-SHA-256", "admin", "admin-secret"),
			kfake.User("SCRAM-SHA-256", "cdc", brokerCanary, acls...),
		}
	}
	inWorld(t, hubspottest.Options{Seed: 10}, append(sasl, threeTypes...), func(w *world) {
		w.replaceKafka(user()...)
		c := w.inspect().is(exitFailed)
		const add = "kafka-acls --bootstrap-server "
		c.says("topics", "", isWrong, "hubspot.contacts", add, "--allow-principal 'User:cdc'", "--operation Write", "--resource-pattern-type prefixed --topic hubspot.")
		c.says("transactional_id", "hubspot.4242", isWrong, "DESCRIBE, WRITE", "--operation Describe --operation Write --transactional-id hubspot.4242")
		c.says("group", "hubspot.owner", isWrong, "--operation Read --group hubspot.owner")
		c.silent("hubspot", "scopes", "kafka", "registry")

		allow := func(resource kmsg.ACLResourceType, name string, pattern kmsg.ACLResourcePatternType, ops ...kmsg.ACLOperation) []kfake.ACL {
			var all []kfake.ACL
			for _, op := range ops {
				all = append(all, kfake.ACL{Resource: resource, Name: name, Pattern: pattern, Operation: op, Allow: true})
			}
			return all
		}
		topics := allow(kmsg.ACLResourceTypeTopic, "hubspot.", kmsg.ACLResourcePatternTypePrefixed,
			kmsg.ACLOperationCreate, kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationRead, kmsg.ACLOperationWrite)
		group := allow(kmsg.ACLResourceTypeGroup, "hubspot.owner", kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLOperationDescribe, kmsg.ACLOperationRead)
		id := allow(kmsg.ACLResourceTypeTransactionalId, "hubspot.4242", kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLOperationDescribe, kmsg.ACLOperationWrite)
		w.replaceKafka(user(slices.Concat(topics, group, id)...)...)
		w.inspect().is(exitOK).silent("access", "topics")

		w.replaceKafka(user(slices.Concat(topics, group, id[:1])...)...)
		w.inspect().is(exitFailed).says("transactional_id", "hubspot.4242", isWrong, "not allowed: WRITE")

		w.inspect("KAFKA_SASL_PASSWORD=wrong").is(exitFailed).says("broker", "", isWrong, "closed the connection", "KAFKA_SASL_PASSWORD")
	})
}

// TestCheck_RegistryWithoutRules: a registry that compares nothing is a warning.
func TestCheck_RegistryWithoutRules(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 11}, threeTypes, func(w *world) {
		w.registry.turn(inProcess{srfake.NewRegistry(srfake.WithGlobalCompat(sr.CompatNone)).Handler()})
		w.inspect().is(exitOK).says("compatibility", "(global)", isWarn, "NONE", "BACKWARD", "curl")
		w.registry.turn(inProcess{http.NotFoundHandler()})
		w.inspect().is(exitFailed).says("registry", "", isWrong, "404", "/apis/ccompat/v7")
	})
}

// TestCheck_TheDayIsUsedUp: the backfill's plan says when it takes longer than a
// day, and what is asked for while others have spent the day is not taken for
// refused.
func TestCheck_TheDayIsUsedUp(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 12, Limits: hubspottest.Limits{Daily: 2000}}, threeTypes, func(w *world) {
		w.portal.Seed("contacts", 50_000)
		w.portal.UseDaily(1300)
		c := w.inspect().is(exitOK)
		c.says("limit_day", "", isOK, "2,000")
		if c.Plan.Backfill.Days < 1 || c.Plan.Ours < 1 || len(c.Plan.Notes) == 0 {
			t.Errorf("plan: %+v", c.Plan)
		}
		w.portal.UseDaily(300)
		c = w.inspect().is(exitFailed)
		c.says("limit_day", "", isWarn, "HUBSPOT_DAILY_RESERVE")
		c.says("object_types", "", isWrong, "not asked")
		if strings.Contains(c.table, "click") {
			t.Errorf("what was not asked is taken for refused:\n%s", c.table)
		}
	})
}

// TestCheck_Colours: only a terminal sees colours, and they do not change the
// text.
func TestCheck_Colours(t *testing.T) {
	r := &report{Code: exitFailed, Findings: []finding{
		{Area: "kafka", Check: "broker", Status: isWrong, Found: "away", Todo: []string{"start it"}},
		{Area: "kafka", Check: "cluster", Subject: "x", Status: isOK, Found: "fine"},
	}}
	var plain, coloured bytes.Buffer
	if err := errors.Join(r.writeTable(&plain, false), r.writeTable(&coloured, true)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") || !strings.Contains(coloured.String(), "\x1b[31mFAIL\x1b[0m  broker") {
		t.Errorf("plain: %q\ncoloured: %q", plain.String(), coloured.String())
	}
	text := coloured.String()
	for _, code := range append([]string{plainColour}, colour[isWrong], colour[isOK]) {
		text = strings.ReplaceAll(text, code, "")
	}
	if text != plain.String() {
		t.Errorf("coloured without its colours:\n%s\nwant\n%s", text, plain.String())
	}
}

// replaceKafka gives the world another cluster.
func (w *world) replaceKafka(opts ...kfake.Opt) {
	w.t.Helper()
	w.kafka.Close()
	cluster, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1), kfake.DefaultNumPartitions(3), kfake.ListenFn(w.network.Listen))...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.kafka = cluster
	w.env = append(w.env, "KAFKA_BROKERS="+cluster.ListenAddrs()[0])
}

func (w *world) subjects() []string {
	w.t.Helper()
	registry, err := sr.NewClient(sr.URLs("http://registry.test"), sr.HTTPClient(&http.Client{Transport: w.registry}))
	if err != nil {
		w.t.Fatal(err)
	}
	subjects, err := registry.Subjects(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return subjects
}

// TestCheck_OAuth: an installed app is told from a token; a refresh token that
// HubSpot refuses is said as such, and no secret is shown.
func TestCheck_OAuth(t *testing.T) {
	t.Parallel()
	app := &hubspottest.OAuthApp{ClientID: "app-1", ClientSecret: "client-secret-1", RefreshToken: canary}
	env := append([]string{"HUBSPOT_ACCESS_TOKEN=", "HUBSPOT_CLIENT_ID=app-1", "HUBSPOT_CLIENT_SECRET=client-secret-1", "HUBSPOT_REFRESH_TOKEN=" + canary}, threeTypes...)
	inWorld(t, hubspottest.Options{Seed: 14, OAuth: app}, env, func(w *world) {
		c := w.inspect().is(exitOK)
		c.says("token", "", isOK, "OAuth", "refresh token")
		c.says("limit_ten_seconds", "", isOK, "110 calls")
		c.says("limit_day", "", isOK, "no limit")
		c = w.inspect("HUBSPOT_REFRESH_TOKEN=" + brokerCanary).is(exitFailed)
		c.says("token", "", isWrong, "refuses it", "install the app", "HUBSPOT_CLIENT_SECRET")
		c.silent("kafka", "registry")
	})
}
