package connector_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// answering is a registry that gives one answer to every schema that is to be looked up
// or registered under a subject ("": any).
type answering struct {
	to      http.RoundTripper
	subject string
	status  int
	body    string
}

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPost || !strings.HasPrefix(req.URL.Path, "/subjects/"+a.subject) {
		return a.to.RoundTrip(req)
	}
	return testkit.InProcess{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(a.body))
	})}.RoundTrip(req)
}

// waits expects an object to wait with a problem whose action names what to do.
func (p *process) waits(object, action string) {
	p.w.T.Helper()
	problems := p.ready().Problems
	if !slices.ContainsFunc(problems, func(pr stream.Problem) bool {
		return pr.Object == object && strings.Contains(pr.Action, action) && !strings.Contains(pr.Action, "HubSpot's support")
	}) {
		p.w.T.Errorf("no problem of %s with the action %q: %+v", object, action, problems)
	}
}

// TestSelection_TheHashChangesWhileTheRegistryRefuses: what a topic holds was hashed
// under a key that the configuration no longer has, and the registry takes no other
// schema. That topic waits and everything else goes on, its links too; once the
// registry takes the schema, everything is published as it is selected now.
func TestSelection_TheHashChangesWhileTheRegistryRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after        []string
		status       int
		body, action string
		published    func(text string) (field, value string)
	}{
		"another key": {
			after:  []string{"HUBSPOT_HASH_KEY=" + otherKey},
			status: http.StatusConflict, body: `{"error_code":409,"message":"incompatible"}`, action: "compatibility",
			published: func(text string) (string, string) { return "score", digestOf(otherKey, text) },
		},
		"no hash of a number, and the registry is read-only": {
			after:  []string{"HUBSPOT_PROPERTIES_HASH=", "HUBSPOT_HASH_KEY="},
			status: http.StatusUnprocessableEntity, body: `{"error_code":42205,"message":"Subject is in read-only mode"}`, action: "READWRITE",
			published: func(text string) (string, string) { return "score__number", text },
		},
	} {
		t.Run(name, func(t *testing.T) {
			env := []string{"SYNC_SCHEMA_INTERVAL=1m", "SYNC_ASSOCIATIONS_INTERVAL=2m", "HUBSPOT_OBJECTS=contacts,companies",
				"HUBSPOT_PROPERTIES_HASH=contacts.score", "HUBSPOT_HASH_KEY=" + hashKey}
			inWorld(t, hubspottest.Options{Seed: 11}, env, func(w *world) {
				w.Portal.AddProperty("contacts", hubspottest.Property{Name: "score", Type: "number"})
				person, firm := w.Portal.Create("contacts", map[string]string{"score": "7"}), w.Portal.Seed("companies", 1)[0]
				p := w.start()
				w.SleepUntil(time.Hour, func() bool { return p.backfilled(1, []string{"contacts", "companies"}) })
				p.Stop()
				accepting := w.Registry.Turn(nil)
				w.Registry.Turn(answering{accepting, "hubspot.contacts-value", c.status, c.body})
				w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points"}) // else another key needs no other schema
				w.Set(c.after...)
				p = w.start()
				time.Sleep(time.Minute)
				w.Portal.Update("companies", firm, map[string]string{"name": "New"})
				w.Portal.Associate("contacts", person, "companies", firm, "", 0)
				time.Sleep(5 * time.Minute)
				p.waits("contacts", c.action)
				if n := len(w.told("contacts", 1)); n != 0 {
					t.Errorf("%d events of the topic that waits", n)
				}
				if n := len(w.told("companies", 1)); n != 1 {
					t.Errorf("%d events of the other topic, want 1", n)
				}
				if p.live(toCompanies.String()) == 0 {
					t.Error("the links do not go on")
				}
				w.Registry.Turn(accepting)
				w.SleepUntil(3*time.Minute, func() bool { return p.ready().Ready })
				time.Sleep(10 * time.Minute)
				p.Stop()
				w.wantFold("contacts", []string{"score"}, func(_, text string) (string, string) { return c.published(text) })
			})
		})
	}
}

// denied is Confluent's answer to a user whose role lacks the subject.
const denied = `{"error_code":40301,"message":"User is denied operation Write on Subject"}`

// TestTopics_OneThatMayNotBeCreatedWaitsAlone: an object type, a pair and a list come
// whose topics the cluster does not let this user create. Each waits with a problem that
// has the command, in the run in which it comes and in the next ones; the rest goes on
// as before. Once the topics may be created, everything is published.
func TestTopics_OneThatMayNotBeCreatedWaitsAlone(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_SCHEMA_INTERVAL=1m", "SYNC_REFERENCE_INTERVAL=1m", "SYNC_ASSOCIATIONS_INTERVAL=2m", "SYNC_LEADING_INTERVAL=1s"}
	inWorld(t, hubspottest.Options{Seed: 11, Types: []string{"contacts", "companies"}}, env, func(w *world) {
		person, firm := w.Portal.Seed("contacts", 1)[0], w.Portal.Seed("companies", 1)[0]
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(1, []string{"contacts", "companies"}) })
		time.Sleep(5 * time.Minute)
		policy := &testkit.Policy{NoCreate: true}
		w.Kafka.Enforce(policy)
		car := w.Portal.AddCustomType("car", hubspottest.Property{Name: "maker"}).FullyQualifiedName
		w.Portal.Create(car, map[string]string{"maker": "Tatra"})
		w.Portal.Associate("contacts", person, "companies", firm, "", 0)
		owner := w.Portal.AddOwner(hubspottest.Owner{})
		for i, name := range []string{"Ada", "Grace"} {
			time.Sleep(5 * time.Minute)
			w.Portal.Update("contacts", person, map[string]string{"firstname": name})
			if took := w.ReadUntil(time.Minute, func() bool { return w.FirstName(person) == name }); took > 15*time.Second {
				t.Errorf("run %d: a change was published after %v", i+1, took)
			}
			for object, topic := range map[string]string{car: car, toCompanies.String(): "associations.contacts.companies", "owners": "owners"} {
				p.waits(object, "have it created: kafka-topics --bootstrap-server localhost:0 --create --topic hubspot."+topic+" ")
			}
			if n := p.said("the run ended; the next one begins"); n > 0 {
				t.Errorf("run %d: %d runs ended", i+1, n)
			}
			p.Stop()
			p = w.start()
		}
		policy.Off.Store(true)
		w.SleepUntil(5*time.Minute, func() bool { return p.ready().Ready && len(p.ready().Problems) == 0 })
		time.Sleep(10 * time.Minute)
		p.Stop()
		w.check("contacts", "companies", car)
		w.checkLinks(toCompanies)
		w.tells("owners", "c "+owner)
	})
}

// TestTopics_ASubjectThatMayNotBeRegisteredWaitsAlone: the registry does not let this
// user register the schema of one object type, and of one pair. They wait with a problem
// that names the subject, also over a restart, and the rest goes on.
func TestTopics_ASubjectThatMayNotBeRegisteredWaitsAlone(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_SCHEMA_INTERVAL=1m", "SYNC_ASSOCIATIONS_INTERVAL=2m", "HUBSPOT_OBJECTS=contacts,companies"}
	inWorld(t, hubspottest.Options{Seed: 11}, env, func(w *world) {
		people, firms := w.Portal.Seed("contacts", 20), w.Portal.Seed("companies", 20)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(20, []string{"contacts", "companies"}) })
		time.Sleep(5 * time.Minute)
		accepting := w.Registry.Turn(nil)
		contacts := answering{accepting, "hubspot.contacts-value", http.StatusForbidden, denied}
		w.Registry.Turn(answering{contacts, "hubspot.associations.contacts.companies-value", http.StatusForbidden, denied})
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points", Type: "number"})
		w.Portal.Associate("contacts", people[1], "companies", firms[1], "", 0)
		for i := range 2 {
			time.Sleep(5 * time.Minute)
			w.Portal.Update("companies", firms[0], map[string]string{"name": "New " + idText(uint64(i))})
			time.Sleep(2 * time.Minute)
			if n := len(w.told("companies", 20)); n != i+1 {
				t.Errorf("run %d: %d events of another type, want %d", i+1, n, i+1)
			}
			p.waits("contacts", "subject hubspot.contacts-value")
			p.waits(toCompanies.String(), "subject hubspot.associations.contacts.companies-value")
			if n := p.said("the run ended; the next one begins"); n > 0 {
				t.Errorf("run %d: %d runs ended", i+1, n)
			}
			p.Stop()
			p = w.start()
		}
		w.Registry.Turn(accepting)
		w.SleepUntil(5*time.Minute, func() bool { return p.ready().Ready && len(p.ready().Problems) == 0 })
		time.Sleep(10 * time.Minute)
		p.Stop()
		w.check("contacts", "companies")
		w.checkLinks(toCompanies)
	})
}

// TestTopics_OneThatMayNotBeUsedWaitsAlone: the cluster takes away a right of this user for
// the topic of one object type. That type waits with a problem that names the topic, in the
// run, which may end once, and after a restart; the rest goes on. Once the right is back,
// everything is published, also what the topic has lost meanwhile.
func TestTopics_OneThatMayNotBeUsedWaitsAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		right kmsg.ACLOperation
		lost  bool
	}{{kmsg.ACLOperationWrite, false}, {kmsg.ACLOperationDescribe, false}, {kmsg.ACLOperationAll, false}, {kmsg.ACLOperationDescribe, true}} {
		t.Run(fmt.Sprint(c.right, ", lost: ", c.lost), func(t *testing.T) {
			t.Parallel()
			env := []string{"SYNC_SCHEMA_INTERVAL=1m", "HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none", "SYNC_LEADING_INTERVAL=5s"}
			inWorld(t, hubspottest.Options{Seed: 11}, env, func(w *world) {
				w.Kafka.Replace(kfake.EnableACLs(), kfake.User("PLAIN", "ANONYMOUS", "nobody asks", everything()...))
				w.Config.Kafka.Brokers = w.Kafka.ListenAddrs()
				people, firms := w.Portal.Seed("contacts", 20), w.Portal.Seed("companies", 20)
				p := w.start()
				w.SleepUntil(time.Hour, func() bool { return p.backfilled(20, []string{"contacts", "companies"}) })
				time.Sleep(5 * time.Minute)
				rights := kadm.NewACLs().Deny("User:ANONYMOUS").DenyHosts("*").ResourcePatternType(kadm.ACLPatternLiteral).Topics(contactsTopic).Operations(c.right)
				if _, err := w.Kafka.Admin().CreateACLs(w.T.Context(), rights); err != nil {
					t.Fatal(err)
				}
				for i := range 2 {
					time.Sleep(2 * time.Minute)
					w.Portal.Update("contacts", people[i], map[string]string{"firstname": "Ada"})
					time.Sleep(2 * time.Minute)
					w.Portal.Update("companies", firms[i], map[string]string{"name": "New"})
					time.Sleep(6 * time.Minute)
					if n := len(w.told("companies", 20)); n != i+1 {
						t.Errorf("run %d: %d events of another type, want %d", i+1, n, i+1)
					}
					if i > 0 || c.right != kmsg.ACLOperationDescribe { // a run that writes need not see it
						p.waits("contacts", "read and write the topic hubspot.contacts;")
					}
					if n := p.said("the run ended; the next one begins"); n > 1-i {
						t.Errorf("run %d: %d runs ended", i+1, n)
					}
					p.Stop()
					p = w.start()
				}
				time.Sleep(5 * time.Minute)
				if _, err := w.Kafka.Admin().DeleteACLs(w.T.Context(), rights); err != nil {
					t.Fatal(err)
				}
				if c.lost {
					loss{keep: 5}.befall(w, contactsTopic)
				}
				w.SleepUntil(10*time.Minute, func() bool { return p.ready().Ready && len(p.ready().Problems) == 0 })
				time.Sleep(10 * time.Minute)
				p.Stop()
				w.check("companies")
				if w.whole(contactsTopic); !c.lost {
					w.check("contacts")
				}
			})
		})
	}
}

// everything lists the rights to everything.
func everything() (all []kfake.ACL) {
	for _, of := range []kmsg.ACLResourceType{kmsg.ACLResourceTypeTopic, kmsg.ACLResourceTypeGroup, kmsg.ACLResourceTypeTransactionalId, kmsg.ACLResourceTypeCluster} {
		name := "*"
		if of == kmsg.ACLResourceTypeCluster {
			name = "kafka-cluster"
		}
		all = append(all, kfake.ACL{Resource: of, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationAll, Allow: true})
	}
	return all
}

// hiding is a registry that lets this user neither see nor register the schemas of the
// subjects that begin so, nor see the schema under an id; 0: it hides none by its id.
type hiding struct {
	to       http.RoundTripper
	subjects string
	id       uint32
}

func (h hiding) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(req.URL.Path, "/subjects/"+h.subjects) && req.URL.Path != fmt.Sprintf("/schemas/ids/%d", h.id) {
		return h.to.RoundTrip(req)
	}
	return testkit.InProcess{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(denied))
	})}.RoundTrip(req)
}

// TestTopics_ASubjectThatMayNotBeReadWaitsAlone: the registry takes away this user's role
// for the subject of one object type. That type waits with a problem that names the subject,
// in the run and after a restart; the rest goes on, and nothing is lost.
func TestTopics_ASubjectThatMayNotBeReadWaitsAlone(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_SCHEMA_INTERVAL=1m", "HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none"}
	inWorld(t, hubspottest.Options{Seed: 11}, env, func(w *world) {
		people, firms := w.Portal.Seed("contacts", 20), w.Portal.Seed("companies", 20)
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(20, []string{"contacts", "companies"}) })
		time.Sleep(5 * time.Minute)
		seen := w.Registry.Turn(nil)
		w.Registry.Turn(hiding{seen, "hubspot.contacts-value", w.schemaOf(contactsTopic)})
		for i := range 2 {
			time.Sleep(7 * time.Minute) // the registry is asked every five
			w.Portal.Update("contacts", people[i], map[string]string{"firstname": "Ada"})
			w.Portal.Update("companies", firms[i], map[string]string{"name": "New"})
			time.Sleep(2 * time.Minute)
			if n := len(w.told("companies", 20)); n != i+1 {
				t.Errorf("run %d: %d events of another type, want %d", i+1, n, i+1)
			}
			p.waits("contacts", "subject hubspot.contacts-value")
			if n := p.said("the run ended; the next one begins"); n > 0 {
				t.Errorf("run %d: %d runs ended", i+1, n)
			}
			p.Stop()
			p = w.start()
		}
		w.Registry.Turn(seen)
		w.SleepUntil(10*time.Minute, func() bool { return p.ready().Ready && len(p.ready().Problems) == 0 })
		time.Sleep(10 * time.Minute)
		p.Stop()
		w.check("contacts", "companies")
	})
}

// TestTopics_AllOfThemRefused: nothing can be published, and /readyz says for each
// object type why.
func TestTopics_AllOfThemRefused(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(w *world) (action string){
		"by Kafka": func(w *world) string {
			w.Kafka.Enforce(&testkit.Policy{NoCreate: true})
			return "have it created: kafka-topics "
		},
		"by the registry": func(w *world) string {
			w.Registry.Turn(answering{w.Registry.Turn(nil), "", http.StatusForbidden, denied})
			return "register the schemas of subject hubspot."
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, hubspottest.Options{Seed: 11}, []string{"HUBSPOT_OBJECTS=contacts,companies"}, func(w *world) {
				w.Portal.Seed("contacts", 20)
				cl := w.Kafka.Client()
				compact := "compact"
				for _, topic := range []string{"hubspot.offsets", "hubspot.state"} {
					if _, err := kadm.NewClient(cl).CreateTopic(w.T.Context(), 1, 1, map[string]*string{"cleanup.policy": &compact}, topic); err != nil {
						t.Fatal(err)
					}
				}
				cl.Close()
				action := refuse(w)
				p := w.start()
				defer p.Stop()
				time.Sleep(5 * time.Minute)
				if p.ready().Ready {
					t.Error("ready, and nothing can be published")
				}
				for _, object := range []string{"contacts", "companies"} {
					p.waits(object, action)
				}
			})
		})
	}
}

// TestTopics_ATypeComesBackWhileTheRegistryIsAway: its topic cannot be made ready, so
// the type waits, with a problem, and the other one goes on in the same run. Once the
// registry is back, nothing is missing.
func TestTopics_ATypeComesBackWhileTheRegistryIsAway(t *testing.T) {
	t.Parallel()
	env := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none", "SYNC_LEADING_INTERVAL=1s"}
	inWorld(t, hubspottest.Options{Seed: 11}, env, func(w *world) {
		person, firm := w.Portal.Seed("contacts", 1)[0], w.Portal.Seed("companies", 1)[0]
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(1, []string{"contacts", "companies"}) })
		p.Stop()
		without := []string{"crm.objects.contacts.read", "crm.schemas.contacts.read", "crm.objects.owners.read"}
		w.Portal.SetScopes(without...)
		p = w.start()
		time.Sleep(3 * time.Minute)
		w.Portal.Update("companies", firm, map[string]string{"name": "New"})
		w.Registry.Cut()
		w.Portal.SetScopes(append(without, "crm.objects.companies.read", "crm.schemas.companies.read")...)
		time.Sleep(10 * time.Minute)
		p.waits("companies", "bring the schema registry back")
		w.Portal.Update("contacts", person, map[string]string{"firstname": "Ada"})
		time.Sleep(time.Minute)
		if n := len(w.Records(contactsTopic)); n != 2 {
			t.Errorf("%d events of the other type, want 2", n)
		}
		w.Registry.Mend()
		w.SleepUntil(2*time.Minute, func() bool { return p.ready().Ready })
		time.Sleep(5 * time.Minute)
		if n := p.said("the run ended; the next one begins"); n > 0 {
			t.Errorf("%d runs ended", n)
		}
		p.Stop()
		w.check("contacts", "companies")
	})
}

// TestR9_ATypeIsRemovedWhileItsNextSchemaIsRefused: its deletes need no other schema than
// the one that is registered, so they are published in the same run.
func TestR9_ATypeIsRemovedWhileItsNextSchemaIsRefused(t *testing.T) {
	t.Parallel()
	env := []string{"SYNC_SCHEMA_INTERVAL=1m", "HUBSPOT_ASSOCIATIONS=none"}
	inWorld(t, hubspottest.Options{Seed: 11, Types: []string{"contacts"}}, env, func(w *world) {
		car := w.Portal.AddCustomType("car", hubspottest.Property{Name: "maker"}).FullyQualifiedName
		w.Portal.Create(car, map[string]string{"maker": "Tatra"})
		p := w.start()
		w.SleepUntil(time.Hour, func() bool { return p.backfilled(1, []string{car}) })
		w.Registry.Turn(answering{w.Registry.Turn(nil), "hubspot." + car + "-value", http.StatusForbidden, denied})
		w.Portal.AddProperty(car, hubspottest.Property{Name: "points"})
		time.Sleep(5 * time.Minute)
		p.waits(car, "subject hubspot."+car+"-value")
		w.Portal.RemoveCustomType(car)
		time.Sleep(3 * time.Hour)
		if n := p.said("the run ended; the next one begins"); n > 0 {
			t.Errorf("%d runs ended", n)
		}
		p.Stop()
		w.check(car)
	})
}

// TestR20_ALossThatNobodyMayMendYet: a topic was deleted, and the cluster does not let
// this user create it again. Its object waits; once the connector may create the topic,
// or somebody else has, everything of it is published again, once.
func TestR20_ALossThatNobodyMayMendYet(t *testing.T) {
	t.Parallel()
	for _, topic := range kinds {
		for _, byHand := range []bool{false, true} {
			t.Run(fmt.Sprint(topic, ", made by hand: ", byHand), func(t *testing.T) {
				t.Parallel()
				if topic != contactsTopic && topic != "hubspot.owners" {
					long(t)
				}
				env := append([]string{"SYNC_SCHEMA_INTERVAL=1m"}, published...)
				inWorld(t, hubspottest.Options{Seed: 20, Types: []string{"contacts", "companies", "deals"}}, env, func(w *world) {
					w.peopled(12)
					p := w.start()
					time.Sleep(3 * time.Minute)
					p.Stop()
					ends, err := w.Kafka.Admin().ListEndOffsets(w.T.Context(), topic)
					if err != nil {
						t.Error(err)
					}
					loss{keep: -1}.befall(w, topic)
					policy := &testkit.Policy{NoCreate: true}
					w.Kafka.Enforce(policy)
					p = w.start()
					time.Sleep(5 * time.Minute)
					if p.said("the run ended; the next one begins") > 0 || slices.Contains(w.Topics(), topic) {
						t.Error("the object does not wait alone")
					}
					policy.Off.Store(true)
					if byHand {
						compact := "compact"
						if _, err := w.Kafka.Admin().CreateTopics(w.T.Context(), int32(len(ends[topic])), 1, map[string]*string{"cleanup.policy": &compact}, topic); err != nil {
							t.Error(err)
						}
					}
					time.Sleep(15 * time.Minute)
					for key, n := range w.whole(topic) {
						if n != 1 {
							t.Errorf("%d events of %s, want 1", n, key)
						}
					}
					if ready := p.ready(); !ready.Ready || len(ready.Problems) > 0 {
						t.Errorf("readyz %+v", ready)
					}
					p.Stop()
					w.publishesNothing(topic)
				})
			})
		}
	}
}

// TestR20_ATopicMadeAgainWhoseSchemaIsRefused: a topic was deleted, and the registry does
// not take the type's next schema. The connector makes the topic again and cannot write to
// it. The loss is not forgotten: once the registry takes the schema, everything is
// published again, also where brokers tell no topic ids.
func TestR20_ATopicMadeAgainWhoseSchemaIsRefused(t *testing.T) {
	t.Parallel()
	for _, ids := range []bool{true, false} {
		t.Run(fmt.Sprint("topic ids: ", ids), func(t *testing.T) {
			t.Parallel()
			env := append([]string{"SYNC_SCHEMA_INTERVAL=1m"}, published...)
			inWorld(t, hubspottest.Options{Seed: 20, Types: []string{"contacts", "companies", "deals"}}, env, func(w *world) {
				if !ids {
					old := kversion.Stable()
					old.SetMaxKeyVersion(int16(kmsg.Metadata), 9)
					w.Kafka.Replace(kfake.MaxVersions(old))
					w.Config.Kafka.Brokers = w.Kafka.ListenAddrs()
				}
				w.peopled(12)
				p := w.start()
				time.Sleep(3 * time.Minute)
				p.Stop()
				loss{keep: -1}.befall(w, contactsTopic)
				accepting := w.Registry.Turn(nil)
				w.Registry.Turn(answering{accepting, contactsTopic + "-value", http.StatusConflict, `{"error_code":409,"message":"incompatible"}`})
				w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points"})
				p = w.start()
				time.Sleep(5 * time.Minute)
				if !slices.Contains(w.Topics(), contactsTopic) || p.said("the run ended; the next one begins") > 0 {
					t.Error("the topic is not made again, or its object does not wait alone")
				}
				w.Registry.Turn(accepting)
				time.Sleep(5 * time.Minute)
				w.againOnce(p, contactsTopic)
			})
		})
	}
}

// TestR20_ATopicThatHeldNothingLive: a topic without a live key was deleted, and may not be
// created yet. Once it may, it is there again and verified, though there is nothing to
// publish. What comes later is published once.
func TestR20_ATopicThatHeldNothingLive(t *testing.T) {
	t.Parallel()
	for topic, comes := range map[string]func(w *world, people, firms []uint64){
		"hubspot.deals": func(w *world, _, _ []uint64) { w.Portal.Seed("deals", 1) },
		linksTopic: func(w *world, people, firms []uint64) {
			w.Portal.Associate("contacts", people[1], "companies", firms[1], "", 0)
		},
		"hubspot.owners": func(w *world, _, _ []uint64) { w.Portal.AddOwner(hubspottest.Owner{}) },
	} {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			env := append([]string{"SYNC_SCHEMA_INTERVAL=1m", "SYNC_RECONCILE_INTERVAL=2m"}, published...)
			inWorld(t, hubspottest.Options{Seed: 20, Types: []string{"contacts", "companies", "deals"}}, env, func(w *world) {
				people, firms := w.Portal.Seed("contacts", 2), w.Portal.Seed("companies", 2)
				w.Portal.Associate("contacts", people[0], "companies", firms[0], "", 0)
				owner := w.Portal.AddOwner(hubspottest.Owner{})
				p := w.start()
				time.Sleep(3 * time.Minute)
				w.Portal.Dissociate("contacts", people[0], "companies", firms[0], "", 0)
				w.Portal.ArchiveOwner(owner)
				w.ReadUntil(2*time.Hour, func() bool { return len(w.keysOf(topic)) == 0 && w.frontier(topic).Verified != nil })
				p.Stop()
				loss{keep: -1}.befall(w, topic)
				policy := &testkit.Policy{NoCreate: true}
				w.Kafka.Enforce(policy)
				p = w.start()
				time.Sleep(10 * time.Minute)
				policy.Off.Store(true)
				allowed := w.Portal.Now()
				w.ReadUntil(20*time.Minute, func() bool { return after(w.frontier(topic).Verified, allowed) })
				comes(w, people, firms)
				come := w.Portal.Now()
				w.ReadUntil(20*time.Minute, func() bool { return len(w.keysOf(topic)) > 0 && after(w.frontier(topic).Verified, come) })
				if ready := p.ready(); !ready.Ready || len(ready.Problems) > 0 {
					t.Errorf("readyz %+v", ready)
				}
				p.Stop()
				w.publishesNothing(topic)
			})
		})
	}
}

// TestR20_ATopicThatIsDeletedWhileItIsRefused: the registry does not take a type's next
// schema, so the topic is not ready when somebody deletes it. Once the registry takes the
// schema, everything is published again, once.
func TestR20_ATopicThatIsDeletedWhileItIsRefused(t *testing.T) {
	t.Parallel()
	env := append([]string{"SYNC_SCHEMA_INTERVAL=1m"}, published...)
	inWorld(t, hubspottest.Options{Seed: 20, Types: []string{"contacts", "companies", "deals"}}, env, func(w *world) {
		w.peopled(12)
		p := w.start()
		time.Sleep(3 * time.Minute)
		p.Stop()
		accepting := w.Registry.Turn(nil)
		w.Registry.Turn(answering{accepting, contactsTopic + "-value", http.StatusConflict, `{"error_code":409,"message":"incompatible"}`})
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "points"})
		p = w.start()
		time.Sleep(3 * time.Minute)
		loss{keep: -1}.befall(w, contactsTopic)
		w.Registry.Turn(accepting)
		time.Sleep(10 * time.Minute)
		w.againOnce(p, contactsTopic)
	})
}

// againOnce ends a process after a topic was made again: it has everything, each key once,
// nothing is left to do, and the next run publishes nothing.
func (w *world) againOnce(p *process, topic string) {
	w.T.Helper()
	for key, n := range w.whole(topic) {
		if n != 1 {
			w.T.Errorf("%d events of %s, want 1", n, key)
		}
	}
	if ready := p.ready(); !ready.Ready || len(ready.Problems) > 0 {
		w.T.Errorf("readyz %+v", ready)
	}
	p.Stop()
	w.publishesNothing(topic)
}
