package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/hubspot-cdc/connector/internal/testkit"
	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// checked is what one check found, and its table.
type checked struct {
	t *testing.T
	Report
	table string
	took  time.Duration
}

type world struct {
	*depl.World
	journal Journal // how closely to look there
}

func inWorld(t *testing.T, opt hubspottest.Options, settings []string, f func(w *world)) {
	t.Helper()
	depl.In(t, opt, settings, func(w *depl.World) { f(&world{World: w}) })
}

// inspect runs a check in the world. Both forms of its report must agree.
// settings override the world's.
func (w *world) inspect(settings ...string) *checked {
	w.T.Helper()
	return w.inspectOver(w.Portal.Transport(), settings...)
}

// inspectOver is inspect with a transport of the check's own.
func (w *world) inspectOver(hubspot http.RoundTripper, settings ...string) *checked {
	w.T.Helper()
	before := w.Config
	w.Set(settings...)
	o := w.Options(hubspot, w.Brokers)
	o.Logger = slog.New(slog.DiscardHandler)
	setup, err := connector.Prepare(w.Config, o)
	w.Config = before
	if err != nil {
		w.T.Fatal(err)
	}
	c := &checked{t: w.T}
	began := time.Now()
	report := Run(w.T.Context(), setup, w.journal)
	c.took = time.Since(began)
	var text, table bytes.Buffer
	if err := errors.Join(report.WriteJSON(&text), report.WriteTable(&table, false)); err != nil {
		w.T.Fatal(err)
	}
	c.table = table.String()
	if err := json.Unmarshal(text.Bytes(), &c.Report); err != nil {
		w.T.Fatalf("%v in %s", err, text.Bytes())
	}
	for _, f := range c.Findings {
		if !strings.Contains(c.table, f.Check) {
			w.T.Errorf("%s is in the JSON but not in the table", f.Check)
		}
		if f.Status == Fail && len(f.Todo) == 0 {
			w.T.Errorf("nothing says what to do about %s: %s", f.Check, f.Found)
		}
	}
	for _, secret := range []string{depl.Canary, brokerCanary} {
		if strings.Contains(text.String()+c.table, secret) {
			w.T.Error("a check writes a secret")
		}
	}
	return c
}

const brokerCanary = "kafka-depl.Canary-8d1f"

// is checks the exit code.
func (c *checked) is(code int) *checked {
	c.t.Helper()
	if c.Code != code || c.OK != (code == connector.ExitOK) {
		c.t.Errorf("exit code %d, ok %v, want %d:\n%s", c.Code, c.OK, code, c.table)
	}
	return c
}

// says checks that there is a finding with this status about a subject ("": any),
// with all texts in what it found or in what to do about it.
func (c *checked) says(check, subject string, s Status, texts ...string) {
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

// silent checks that nothing is wrong in these areas.
func (c *checked) silent(areas ...string) {
	c.t.Helper()
	for _, f := range c.Findings {
		if slices.Contains(areas, f.Area) && (f.Status == Fail || f.Status == Warn) {
			c.t.Errorf("%s of %s about %q: %s", f.Status, f.Check, f.Subject, f.Found)
		}
	}
}

var threeTypes = []string{"HUBSPOT_OBJECTS=contacts,companies,deals"}

// TestCheck_AllIsWell: with a portal, brokers and a registry in good order, a
// check finds nothing wrong and writes nothing anywhere.
func TestCheck_AllIsWell(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 1}, nil, func(w *world) {
		w.Portal.Seed("contacts", 250)
		c := w.inspect().is(connector.ExitOK)
		c.silent(areas...)
		c.says("token", "", OK, "service key")
		c.says("account", "4242", OK, "STANDARD", "US/Eastern", "na1")
		c.says("limit_ten_seconds", "", OK, "190 calls", "HubSpot says")
		c.says("limit_day", "", OK, "625,000", "125,000")
		c.says("object_type", "contacts", OK, "readable")
		c.says("transaction_version", "", OK, "2")
		c.says("state", "", OK, "none")
		c.says("compatibility", "(global)", OK)
		c.says("to_be_created", "", OK, "hubspot.offsets, hubspot.state, hubspot.contacts, hubspot.companies, hubspot.deals")
		if p := c.Plan; p == nil || p.Records != 250 || p.Backfill.Calls != 5 || len(p.ToCreate) < 5 {
			t.Errorf("plan: %+v", p)
		}
		if topics := w.Topics(); len(topics) > 0 {
			t.Errorf("a check made the topics %v", topics)
		}
		if subjects := w.subjects(); len(subjects) > 0 {
			t.Errorf("a check registered %v", subjects)
		}
	})
}

// TestCheck_DisturbsNoRun: beside a run, a check sees its topics and the group.
// The run stays the owner, and nobody fences it.
func TestCheck_DisturbsNoRun(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 2}, threeTypes, func(w *world) {
		w.Portal.Seed("contacts", 250)
		p := w.Start()
		w.SleepUntil(5*time.Minute, func() bool { return p.Backfilled("contacts") && streams(p) })
		time.Sleep(time.Minute)
		before := w.Records("hubspot.contacts")
		c := w.inspect().is(connector.ExitOK)
		c.silent("kafka", "access", "topics", "registry", "scopes")
		c.says("owner", "hubspot.owner", Note, "stand by")
		c.says("state", "4242", OK, "3 object types")
		c.says("topic", "hubspot.contacts", OK, "partitions 3", "cleanup.policy compact", "keys string")
		c.says("schemas", "", OK, "unchanged: 5") // and those of pipelines and stages
		if c.Plan.Records != 250 || len(c.Plan.ToCreate) != 0 || c.Plan.Backfill.Calls != 0 {
			t.Errorf("plan: %+v", c.Plan)
		}
		if terms := p.Log.Count("this instance is the owner"); !streams(p) || terms != 1 {
			t.Errorf("the run is not the owner as before: %+v, terms %d", p.Ready(), terms)
		}
		if after := w.Records("hubspot.contacts"); len(after) != len(before) {
			t.Errorf("records of hubspot.contacts: %d, before the check %d", len(after), len(before))
		}
		p.Stop()
	})
}

// TestCheck_NamesMissingScopes: if the token lacks two scopes, a check names both
// as what to click. A type that the operator asks for is a problem, any other a
// note.
func TestCheck_NamesMissingScopes(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 3, Scopes: []string{"crm.objects.contacts.read", "crm.schemas.deals.read", "crm.objects.owners.read"}}
	inWorld(t, opt, nil, func(w *world) {
		c := w.inspect().is(connector.ExitOK)
		c.says("object_type", "contacts", OK)
		c.says("object_type", "companies", Note, "crm.objects.companies.read", "crm.schemas.companies.read")
		c.says("object_type", "deals", Note, "click crm.objects.deals.read")
		c.says("custom_objects", "", Note, "crm.objects.custom.read", "crm.schemas.custom.read")

		c = w.inspect(threeTypes...).is(connector.ExitFailed)
		c.says("object_type", "companies", Fail, "click crm.objects.companies.read and crm.schemas.companies.read", "HUBSPOT_OBJECTS")
		c.says("object_type", "deals", Fail, "click crm.objects.deals.read (")
		for _, scope := range []string{"crm.objects.companies.read", "crm.objects.deals.read"} {
			if !strings.Contains(c.table, scope) {
				t.Errorf("the table does not name %s:\n%s", scope, c.table)
			}
		}

		w.Portal.SetScopes("oauth")
		c = w.inspect().is(connector.ExitFailed)
		c.says("object_types", "", Fail, "no object type")
		c.says("owners", "", Warn, "crm.objects.owners.read")
	})
}

// TestCheck_SensitiveScopes: sensitive properties that the operator asks for and
// the token may not read are named with their scope.
func TestCheck_SensitiveScopes(t *testing.T) {
	t.Parallel()
	scopes := []string{"crm.objects.contacts.read", "crm.objects.owners.read", "crm.objects.custom.read"}
	env := []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_SENSITIVE=sensitive"}
	inWorld(t, hubspottest.Options{Seed: 4, Scopes: scopes}, env, func(w *world) {
		w.inspect().is(connector.ExitOK).says("object_type", "contacts", Warn, "crm.objects.contacts.sensitive.read.v2")
		w.Portal.SetScopes(append(scopes, "crm.objects.contacts.sensitive.read.v2")...)
		w.inspect().is(connector.ExitOK).says("object_type", "contacts", OK)
	})
}

// TestCheck_Configuration: a mistake in the configuration that only HubSpot can
// reveal is a finding, with the exit code that a run would have.
func TestCheck_Configuration(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 5}, nil, func(w *world) {
		w.inspect("HUBSPOT_OBJECTS=contacts,butterflies").is(connector.ExitConfig).says("object_type", "", Fail, "butterflies")
		w.inspect("HUBSPOT_ASSOCIATIONS=contacts:butterflies").is(connector.ExitConfig).says("associations", "", Fail, "butterflies")
	})
}

// TestCheck_OneThingAwayHidesNothingElse: a check reports what is away, plainly
// and in time, and checks everything else nonetheless.
func TestCheck_OneThingAwayHidesNothingElse(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 6, Tokens: []string{depl.Canary}}, threeTypes, func(w *world) {
		{ // wrong token
			w.Portal.SetTokens("pat-another")
			c := w.inspect().is(connector.ExitFailed)
			c.says("token", "", Fail, "HubSpot refuses the token", "401", "HUBSPOT_ACCESS_TOKEN")
			c.silent("kafka", "access", "registry")
			if c.Plan != nil {
				t.Errorf("there is a plan: %+v", c.Plan)
			}
			w.Portal.SetTokens(depl.Canary)
		}
		{ // HubSpot away
			w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultReset})
			c := w.inspect().is(connector.ExitFailed)
			c.says("account", "", Fail, "connection reset", "HUBSPOT_BASE_URL")
			c.silent("kafka", "access", "registry")
			w.Portal.ClearFaults()
		}
		{ // a proxy's page in HubSpot's place
			w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultHTML, Status: 200})
			w.inspect().is(connector.ExitFailed).says("account", "", Fail, "not the expected JSON", "something else than HubSpot's API answers")
			w.Portal.ClearFaults()
		}
		{ // HubSpot silent
			w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultSlow, Latency: time.Hour})
			w.inspect().is(connector.ExitFailed).says("account", "", Fail, "no answer")
			w.Portal.ClearFaults()
		}
		{ // registry away
			w.Registry.Cut()
			c := w.inspect().is(connector.ExitFailed)
			c.says("registry", "", Fail, "connection refused", "SCHEMA_REGISTRY_URL")
			c.silent("hubspot", "kafka", "access", "topics", "scopes")
			c.says("to_be_created", "", OK, "hubspot.contacts")
			w.Registry.Mend()
		}
		{ // no broker
			w.Brokers.Cut()
			c := w.inspect().is(connector.ExitFailed)
			c.says("broker", "", Fail, "connection refused", "KAFKA_BROKERS")
			c.silent("hubspot", "scopes", "registry")
			if c.Plan == nil || c.Plan.ToCreate != nil {
				t.Errorf("plan: %+v, want one that knows no topics", c.Plan)
			}
		}
		{ // everything away
			w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultReset})
			w.Registry.Cut()
			c := w.inspect().is(connector.ExitFailed)
			if c.took > 20*time.Second {
				t.Errorf("took %v, want 20 s at most", c.took)
			}
			c.says("account", "", Fail)
			c.says("broker", "", Fail)
			c.says("registry", "", Fail)
		}
	})
}

// TestCheck_OldTransactions: a check tells apart a cluster whose
// transaction.version is below 2 and one that does not let a transaction last as
// long as ours.
func TestCheck_OldTransactions(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 7}, threeTypes, func(w *world) {
		w.replaceKafka(kfake.MaxVersions(kversion.V3_8_0()))
		w.inspect().is(connector.ExitOK).says("transaction_version", "", Warn, "kafka-features", "transaction.version=2")
		w.replaceKafka(kfake.BrokerConfigs(map[string]string{"transaction.max.timeout.ms": "5000"}))
		w.inspect().is(connector.ExitFailed).says("transaction_timeout", "", Fail, "5000", "60000")
	})
}

// TestCheck_RefusesAsARunDoes: what a run refuses with exit code 3, a check
// reports in the same words.
func TestCheck_RefusesAsARunDoes(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 8}, threeTypes, func(w *world) {
		w.Portal.Seed("contacts", 20)
		p := w.Start()
		w.SleepUntil(5*time.Minute, func() bool { return p.Backfilled("contacts") && streams(p) })
		time.Sleep(time.Minute)
		p.Stop()
		w.inspect().is(connector.ExitOK)

		w.inspect("KAFKA_KEY_FORMAT=avro").is(connector.ExitRefused).says("state", "", Fail, "KAFKA_KEY_FORMAT=string")
		admin := w.Kafka.Client()
		defer admin.Close()
		adm := kadm.NewClient(admin)
		policy := func(value string) {
			t.Helper()
			if _, err := adm.AlterTopicConfigs(w.T.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: &value}}, "hubspot.state"); err != nil {
				t.Fatal(err)
			}
		}
		policy("delete")
		w.inspect().is(connector.ExitRefused).says("topic", "hubspot.state", Fail, "cleanup.policy=delete", "kafka-configs")
		policy("compact")
		if _, err := adm.UpdatePartitions(w.T.Context(), 7, "hubspot.contacts"); err != nil {
			t.Fatal(err)
		}
		w.inspect().is(connector.ExitRefused).says("topic", "hubspot.contacts", Fail, "7 partitions", "written with 3")
	})
}

// TestCheck_TooManyReplicas: a check and a run name the same cure.
func TestCheck_TooManyReplicas(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 37}, append([]string{"KAFKA_REPLICATION=5"}, threeTypes...), func(w *world) {
		w.inspect().is(connector.ExitFailed).says("topic", "hubspot.offsets", Fail, sink.ReplicationCure)
		p := w.Start()
		w.SleepUntil(time.Minute, func() bool {
			return slices.ContainsFunc(p.Ready().Problems, func(one stream.Problem) bool { return one.Action == sink.ReplicationCure })
		})
		p.Stop()
	})
}

// TestCheck_RefusesARegistryThatLostItsContent and does not take it back: a run
// would refuse to start, so a check fails, with the cure.
func TestCheck_RefusesARegistryThatLostItsContent(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 28}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.Ran(3)
		registry := testkit.NewRegistry(t)
		registry.Intercept(func(to http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.HasPrefix(r.URL.Path, "/mode") {
				return false
			}
			to.WriteHeader(http.StatusNoContent) // as Apicurio does
			return true
		})
		w.Registry.Turn(registry.Transport())
		c := w.inspect().is(connector.ExitRefused)
		c.says("topic", "hubspot.contacts", Fail, "has lost the schemas", "restore the registry's content")
	})
}

// TestCheck_RefusesAnotherPortal: a prefix belongs to one portal.
func TestCheck_RefusesAnotherPortal(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 8}, threeTypes, func(w *world) {
		p := w.Start()
		w.SleepUntil(5*time.Minute, func() bool { return streams(p) })
		time.Sleep(time.Minute)
		p.Stop()
		w.Portal = hubspottest.New(hubspottest.Options{Seed: 9, PortalID: 777})
		w.inspect().is(connector.ExitRefused).says("state", "", Fail, "portal 4242", "KAFKA_TOPIC_PREFIX")
	})
}

// TestCheck_GivesTheAclCommands: a user without permissions is told the commands
// that give them; a user with exactly these has no problem.
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
		c := w.inspect().is(connector.ExitFailed)
		const add = "kafka-acls --bootstrap-server "
		c.says("topics", "", Fail, "hubspot.contacts", add, "--allow-principal 'User:cdc'", "--operation Write", "--resource-pattern-type prefixed --topic hubspot.")
		c.says("transactional_id", "hubspot.4242", Fail, "DESCRIBE, WRITE", "--operation Describe --operation Write --transactional-id hubspot.4242")
		c.says("group", "hubspot.owner", Fail, "--operation Read --group hubspot.owner")
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
		w.inspect().is(connector.ExitOK).silent("access", "topics")

		w.replaceKafka(user(slices.Concat(topics, group, id[:1])...)...)
		w.inspect().is(connector.ExitFailed).says("transactional_id", "hubspot.4242", Fail, "not allowed: WRITE")

		w.inspect("KAFKA_SASL_PASSWORD=wrong").is(connector.ExitFailed).says("broker", "", Fail, "closed the connection", "KAFKA_SASL_PASSWORD")
	})
}

// TestCheck_RegistryWithoutRules: a registry that compares nothing is a warning.
func TestCheck_RegistryWithoutRules(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 11}, threeTypes, func(w *world) {
		w.Registry.Turn(testkit.InProcess{Handler: srfake.NewRegistry(srfake.WithGlobalCompat(sr.CompatNone)).Handler()})
		w.inspect().is(connector.ExitOK).says("compatibility", "(global)", Warn, "NONE", "BACKWARD", "curl")
		w.Registry.Turn(testkit.InProcess{Handler: http.NotFoundHandler()})
		w.inspect().is(connector.ExitFailed).says("registry", "", Fail, "404", "/apis/ccompat/v7")
	})
}

// TestCheck_RegistryThatOnlyReads: no run could register a schema there.
func TestCheck_RegistryThatOnlyReads(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 11}, threeTypes, func(w *world) {
		if err := w.RegistryClient().SetMode(t.Context(), sr.ModeReadOnly)[0].Err; err != nil {
			t.Fatal(err)
		}
		w.inspect().is(connector.ExitFailed).says("mode", "(global)", Fail, "READONLY", "READWRITE", "curl")
	})
}

// TestCheck_TheDayIsUsedUp: the plan says when the backfill takes longer than a
// day. What a check could not ask, because others have spent the day, does not
// count as refused.
func TestCheck_TheDayIsUsedUp(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 12, Limits: hubspottest.Limits{Daily: 2000}}, threeTypes, func(w *world) {
		w.Portal.Seed("contacts", 50_000)
		w.Portal.UseDaily(1300)
		c := w.inspect("SYNC_LEADING_INTERVAL=10s").is(connector.ExitFailed)
		c.says("limit_day", "", OK, "2,000")
		c.says("idle_calls", "", Fail, "of what the reserve leaves", "SYNC_LEADING_INTERVAL")
		if c.Plan.Backfill.Days < 1 || c.Plan.Ours < 1 {
			t.Errorf("plan: %+v", c.Plan)
		}
		w.Portal.UseDaily(300)
		c = w.inspect().is(connector.ExitFailed)
		c.says("limit_day", "", Warn, "HUBSPOT_DAILY_RESERVE")
		c.says("object_types", "", Fail, "not asked")
		if strings.Contains(c.table, "click") {
			t.Errorf("what was not asked counts as refused:\n%s", c.table)
		}
	})
}

// TestCheck_Colours: only a terminal gets colours, and they do not change the
// text.
func TestCheck_Colours(t *testing.T) {
	r := &Report{Code: connector.ExitFailed, Findings: []Finding{
		{Area: "kafka", Check: "broker", Status: Fail, Found: "away", Todo: []string{"start it"}},
		{Area: "kafka", Check: "cluster", Subject: "x", Status: OK, Found: "fine"},
	}}
	var plain, coloured bytes.Buffer
	if err := errors.Join(r.WriteTable(&plain, false), r.WriteTable(&coloured, true)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") || !strings.Contains(coloured.String(), "\x1b[31mFAIL\x1b[0m  broker") {
		t.Errorf("plain: %q\ncoloured: %q", plain.String(), coloured.String())
	}
	text := coloured.String()
	for _, code := range append([]string{plainColour}, colour[Fail], colour[OK]) {
		text = strings.ReplaceAll(text, code, "")
	}
	if text != plain.String() {
		t.Errorf("coloured without its colours:\n%s\nwant\n%s", text, plain.String())
	}
}

// replaceKafka gives the world another cluster.
func (w *world) replaceKafka(opts ...kfake.Opt) {
	w.T.Helper()
	w.Kafka.Replace(opts...)
	w.Config.Kafka.Brokers = w.Kafka.ListenAddrs()
}

// streams reports whether a process is the owner and ready.
func streams(p *depl.Process) bool {
	r := p.Ready()
	return r.Role == "owner" && r.Ready
}

func (w *world) subjects() []string {
	w.T.Helper()
	subjects, err := w.RegistryClient().Subjects(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	return subjects
}

// TestCheck_OAuth: a check tells an installed app from a token. It reports a
// refresh token that HubSpot refuses, and shows no secret.
func TestCheck_OAuth(t *testing.T) {
	t.Parallel()
	app := &hubspottest.OAuthApp{ClientID: "app-1", ClientSecret: "client-secret-1", RefreshToken: depl.Canary}
	env := append([]string{"HUBSPOT_ACCESS_TOKEN=", "HUBSPOT_CLIENT_ID=app-1", "HUBSPOT_CLIENT_SECRET=client-secret-1", "HUBSPOT_REFRESH_TOKEN=" + depl.Canary}, threeTypes...)
	inWorld(t, hubspottest.Options{Seed: 14, OAuth: app}, env, func(w *world) {
		c := w.inspect().is(connector.ExitOK)
		c.says("token", "", OK, "OAuth", "refresh token")
		c.says("limit_ten_seconds", "", OK, "110 calls")
		c.says("limit_day", "", OK, "no limit")
		c = w.inspect("HUBSPOT_REFRESH_TOKEN=" + brokerCanary).is(connector.ExitFailed)
		c.says("token", "", Fail, "refuses the token", "install the app", "HUBSPOT_CLIENT_SECRET")
		c.silent("kafka", "registry")
	})
}
