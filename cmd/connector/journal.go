package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// journalCommand is connector journal.
func journalCommand() *cobra.Command {
	const help = `The environment is that of connector run, with the app's id and secret (HUBSPOT_JOURNAL_CLIENT_ID and
HUBSPOT_JOURNAL_CLIENT_SECRET, or those of HUBSPOT_CLIENT_ID). HUBSPOT_JOURNAL=off does not matter here.

connector run subscribes to what it lacks, and removes nothing when it ends: a restart then misses nothing.
Unsubscribe after you have stopped every connector of this app and portal, or set their HUBSPOT_JOURNAL to off:
one that runs loses the journal until it starts again, and polls.
`
	var yes bool
	do := func(c *cobra.Command, _ []string) error {
		return manageJournal(c.Context(), c.Name(), yes, connector.Options{}, c.OutOrStdout(), c.ErrOrStderr())
	}
	list := &cobra.Command{Use: "subscriptions", Short: "list all of them, those of this portal marked", Long: help, Args: cobra.NoArgs, RunE: do}
	remove := &cobra.Command{Use: "unsubscribe --yes", Short: "remove the connector's of this portal", Long: help, Args: cobra.NoArgs, RunE: do}
	remove.Flags().BoolVar(&yes, "yes", false, "really remove them")
	c := &cobra.Command{Use: "journal", Short: "show and remove the app's subscriptions to the webhooks journal", Long: help}
	c.AddCommand(list, remove)
	return c
}

// journalPatience is how long the questions of a command may take together.
const journalPatience = time.Minute

// manageJournal lists the subscriptions of the app, or removes ours.
func manageJournal(ctx context.Context, verb string, yes bool, o connector.Options, stdout, stderr io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, journalPatience)
	defer cancel()
	tool, err := newJournalTool(ctx, o)
	if err != nil {
		return err
	}
	if verb == "subscriptions" {
		return tool.list(stdout)
	}
	return tool.remove(ctx, yes, stdout, stderr)
}

// journalTool knows what HubSpot writes into the app's journal.
type journalTool struct {
	journal *hubspot.Journal
	portal  int64
	all     []hubspot.Subscription
}

// answering is the priority of a command's calls.
var answering = hubspot.Call{Priority: hubspot.Schema, Tries: 3}

func newJournalTool(ctx context.Context, o connector.Options) (*journalTool, error) {
	s, err := load()
	if err != nil {
		return nil, err
	}
	h := &s.connector.HubSpot
	if h.Journal == connector.JournalOff { // what it left behind can still be seen and removed
		h.Journal = connector.JournalAuto
	}
	o.Logger, o.Version = slog.New(slog.DiscardHandler), version()
	setup, err := connector.Prepare(s.connector, o)
	if err != nil {
		return nil, err
	}
	if setup.Journal == nil {
		return nil, misused("connector journal: no app is given; set HUBSPOT_JOURNAL_CLIENT_ID and HUBSPOT_JOURNAL_CLIENT_SECRET to those of an app that is installed in the portal")
	}
	account, err := setup.HubSpot.Account(ctx, answering)
	if err != nil {
		d := h.Diagnose(err)
		return nil, fmt.Errorf("%s\n%s", d.Found, d.Cure)
	}
	t := &journalTool{journal: setup.Journal, portal: account.PortalID}
	t.all, err = t.journal.Subscriptions(ctx, answering)
	return t, journalTrouble("list the journal's subscriptions", err)
}

// journalTrouble says what an operator can do where HubSpot refuses the journal.
func journalTrouble(doing string, err error) error {
	if err == nil {
		return nil
	}
	text := doing + ": " + connector.Plainly(err)
	if cure := hubspot.JournalRefused(err); cure != "" {
		text += "\n" + cure
	}
	return errors.New(text)
}

// ours are the connector's subscriptions of this portal.
func (t *journalTool) ours() (ours []hubspot.Subscription) {
	for _, s := range t.all {
		if s.Ours(t.portal) {
			ours = append(ours, s)
		}
	}
	return ours
}

// list prints the subscriptions of all portals of the app.
func (t *journalTool) list(stdout io.Writer) error {
	w := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "OURS\tID\tPORTAL\tKIND\tTYPE\tACTIONS")
	for _, s := range t.all {
		mark := "-"
		if s.Ours(t.portal) {
			mark = "yes"
		}
		actions := slices.Sorted(slices.Values(s.Actions))
		text := strings.Join(actions, ",")
		if s.Narrow {
			text += " (only some properties, records or types)"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", mark, s.ID, s.Portal, s.Kind, s.TypeID, text)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "%d subscriptions, %d of portal %d\n", len(t.all), len(t.ours()), t.portal)
	return err
}

// remove ends the connector's subscriptions of this portal, and names each.
func (t *journalTool) remove(ctx context.Context, yes bool, stdout, stderr io.Writer) error {
	ours := t.ours()
	if len(ours) == 0 {
		_, err := fmt.Fprintf(stderr, "the journal has no subscription of portal %d\n", t.portal)
		return err
	}
	verb := "removed"
	if !yes {
		verb = "would remove"
	}
	for _, s := range ours {
		if yes {
			if err := t.journal.Unsubscribe(ctx, answering, s.ID); err != nil {
				return journalTrouble("remove subscription "+s.ID, err)
			}
		}
		if _, err := fmt.Fprintf(stdout, "%s %s: %s\n", verb, s.ID, s.String()); err != nil {
			return err
		}
	}
	if !yes {
		return misused("nothing is removed yet; HubSpot then writes no change of portal %d into the journal; confirm with: connector journal unsubscribe --yes", t.portal)
	}
	_, err := fmt.Fprintf(stderr, "%d subscriptions of portal %d removed\n", len(ours), t.portal)
	return err
}
