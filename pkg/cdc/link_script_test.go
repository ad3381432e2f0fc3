package cdc

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestLinkDecisions replays the scripts in testdata/links, about the links from
// contacts to companies:
//
//	contact ID live|archived|merged|gone, company ID …
//	                             the lane of that type publishes a record
//	page [cursor=X] [swept] [snapshot] [controlled] [behind=SECONDS]
//	                             behind: so much may the sets' Date be
//	  set FROM TO[-TO]:TYPE[=LABEL]... [sent=NAME] [calls=N] [again] [ended]
//	                             again: the reading that the lane asked for
//	wait SECONDS                 HubSpot's clock moves on
//	waiting                      the records whose sets need another reading
//	named [ago=SECONDS] FROM-TO[:TYPE]...
//	                             HubSpot's journal names a link between these as removed
//	controls ID...               the records to read along with these
//	sweep after=ID n=N           the records that a sweep asks about next
//	holders ID...                the records to read when these changed
//	gone sent=NAME ID...         the contacts for which "not found" means no links
func TestLinkDecisions(t *testing.T) {
	replayAll(t, "testdata/links", func(s *script, _ string) {
		slots, date := hubspot.NewSlots(nil), seconds(1000)
		ends := map[string]*Lane{}
		for _, object := range []string{"contact", "company"} {
			end := NewLane(LaneConfig{Object: object, Slots: slots, Content: NewContent(nil), Committer: &s.record})
			ends[object] = end
			s.lines[object] = func(words []string) {
				rd := Reading{ID: s.id(words[0]), Slots: slots, Stamp: end.Now(), SentAt: date, Date: date}
				rd.Outcome = outcomes[words[1]]
				if rd.Outcome == IsLive || rd.Outcome == IsArchived {
					rd.Record = &hubspot.Record{ID: rd.ID, Updated: date}
				}
				for range 2 { // a purge needs two confirms (R9)
					if left, err := end.Publish(s.Context(), Page{Stream: "leading", Readings: []Reading{rd}}); err != nil || len(left.Again) > 0 {
						s.Fatalf("%v, %v", left, err)
					}
				}
			}
		}
		lane := NewLinkLane(LinkLaneConfig{
			Pair: Pair{"contacts", "companies"}, From: ends["contact"], To: ends["company"], Committer: &s.record,
			Patience: Patience{Second: 30 * time.Second, Witnessed: 2 * time.Second, Repeat: time.Hour},
		})
		contactStamps := map[string]uint64{}
		s.lines["stamp"] = func(words []string) {
			s.stamps[words[0]], contactStamps[words[0]] = lane.Now(), ends["contact"].Now()
		}
		before := map[hubspot.ID]uint64{}
		var page LinkPage
		s.lines["page"] = func(words []string) {
			page = LinkPage{Stream: "associations"}
			s.settings(words, settings{
				"cursor": cursor(&page.Cursors, "contacts:companies", "associations"), "swept": yes(&page.Swept), "snapshot": yes(&page.Snapshot),
				"controlled": yes(&page.Controlled), "behind": func(text string) { page.By = date + seconds(s.number(text)) },
			}, nil)
		}
		s.lines["  set"] = func(words []string) {
			rd := LinkReading{From: s.id(words[0]), Stamp: lane.Now(), SentAt: date, Date: date, Calls: 1}
			s.settings(words[1:], settings{
				"sent": s.sent(&rd.Stamp), "calls": s.count(&rd.Calls), "again": func(string) { rd.Before = before[rd.From] },
				"ended": yes(&rd.Ended),
			}, func(word string) {
				key, label, _ := strings.Cut(word, "=")
				to, typ, _ := strings.Cut(key, ":")
				first, last, many := strings.Cut(to, "-")
				if !many {
					last = first
				}
				for id := s.id(first); id <= s.id(last); id++ {
					rd.Links = append(rd.Links, hubspot.Link{To: id, Category: "USER_DEFINED", TypeID: int(s.number(typ)), Label: label})
				}
			})
			page.Readings = append(page.Readings, rd)
		}
		s.publish = func() (lines []string) {
			left, err := lane.Publish(s.Context(), page)
			if err != nil {
				s.Fatal(err)
			}
			for _, a := range left.Again {
				lines = append(lines, fmt.Sprintf("%s again: %s", a.From, a.Cause))
				before[a.From] = a.Set
			}
			for _, l := range left.Later {
				text := fmt.Sprintf("%s later: after %v", l.ID, l.After)
				if l.Held {
					text += ", held"
				}
				lines = append(lines, text)
			}
			return lines
		}
		s.lines["wait"] = func(words []string) { date += seconds(s.number(words[0])) }
		s.lines["waiting"] = func([]string) {
			ids, err := lane.Waiting(s.Context())
			if err != nil {
				s.Fatal(err)
			}
			s.say("%v", ids)
		}
		s.lines["named"] = func(words []string) {
			var removed []LinkRemoved
			at := date.Add(time.Second + time.Millisecond)
			for _, word := range words {
				if ago, is := strings.CutPrefix(word, "ago="); is {
					at = date - seconds(s.number(ago))
					continue
				}
				from, link, _ := strings.Cut(word, "-")
				to, typ, typed := strings.Cut(link, ":")
				key := LinkKey{From: s.id(from), To: s.id(to)}
				if typed {
					key.Category, key.TypeID = "USER_DEFINED", int(s.number(typ))
				}
				removed = append(removed, LinkRemoved{key, at})
			}
			if err := lane.Witness(s.Context(), removed); err != nil {
				s.Fatal(err)
			}
			s.say("noted %d", len(lane.absences.named.of))
		}
		s.lines["controls"] = func(words []string) {
			ids, err := lane.Controls(s.Context(), s.ids(words))
			s.say("%v %v", ids, err)
		}
		s.lines["sweep"] = func(words []string) {
			var after, n int
			s.settings(words, settings{"after": s.count(&after), "n": s.count(&n)}, nil)
			ids, err := lane.Next(s.Context(), hubspot.ID(after), n)
			s.say("%v %v", ids, err)
		}
		s.lines["holders"] = func(words []string) {
			ids, err := lane.Holders(s.Context(), s.ids(words))
			s.say("%v %v", ids, err)
		}
		s.lines["gone"] = func(words []string) {
			stamp := contactStamps[strings.TrimPrefix(words[0], "sent=")]
			ids, err := ends["contact"].DeletedBefore(s.Context(), s.ids(words[1:]), stamp)
			s.say("%v %v", ids, err)
		}
	})
}
