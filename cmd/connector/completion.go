package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
)

// completionCommand writes the script that completes the words of the other
// commands.
func completionCommand() *subcommand {
	return &subcommand{
		name: "completion", brief: "print a script that completes commands and flags in a shell",
		verbs: []verb{
			{name: "bash", brief: `eval "$(connector completion bash)" in ~/.bashrc`},
			{name: "zsh", brief: `eval "$(connector completion zsh)" in ~/.zshrc, after compinit`},
			{name: "fish", brief: "connector completion fish >~/.config/fish/completions/connector.fish"},
		},
		run: func(_ context.Context, in call) error {
			script := map[string]func(io.Writer) error{"bash": completeBash, "zsh": completeZsh, "fish": completeFish}[in.args[0]]
			return script(in.stdout)
		},
	}
}

// word is what may stand after a command, with what it does.
type word struct{ text, brief string }

// words are a command's verbs and flags; those of help are the commands.
func (c *subcommand) words() (all []word) {
	if c.name == "help" {
		return commandWords()
	}
	for _, v := range c.verbs {
		all = append(all, word{v.name, v.brief})
	}
	c.flags.VisitAll(func(f *flag.Flag) {
		_, text := flag.UnquoteUsage(f)
		all = append(all, word{dashed(f), text})
	})
	return all
}

func commandWords() (all []word) {
	for _, c := range subcommands() {
		all = append(all, word{c.name, c.brief})
	}
	return all
}

func completeBash(w io.Writer) error {
	list := func(words []word) string {
		var texts []string
		for _, one := range words {
			texts = append(texts, one.text)
		}
		return strings.Join(texts, " ")
	}
	fmt.Fprint(w, "_connector() {\n\tlocal words=\n\tcase $COMP_CWORD:${COMP_WORDS[1]} in\n")
	fmt.Fprintf(w, "\t1:*) words='%s' ;;\n", list(commandWords()))
	for _, c := range subcommands() {
		fmt.Fprintf(w, "\t*:%s) words='%s' ;;\n", c.name, list(c.words()))
	}
	_, err := fmt.Fprint(w, "\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\ncomplete -o default -F _connector connector\n")
	return err
}

func completeZsh(w io.Writer) error {
	list := func(words []word) string {
		var texts []string
		for _, one := range words {
			texts = append(texts, quoted(strings.ReplaceAll(one.text, ":", `\:`)+":"+one.brief))
		}
		return strings.Join(texts, " ")
	}
	fmt.Fprint(w, "#compdef connector\n_connector() {\n\tlocal -a words_\n\tcase $CURRENT:$words[2] in\n")
	fmt.Fprintf(w, "\t2:*) words_=(%s) ;;\n", list(commandWords()))
	for _, c := range subcommands() {
		fmt.Fprintf(w, "\t*:%s) words_=(%s) ;;\n", c.name, list(c.words()))
	}
	_, err := fmt.Fprint(w, "\tesac\n\t_describe connector words_ || _files\n}\ncompdef _connector connector\n")
	return err
}

func completeFish(w io.Writer) error {
	for _, one := range commandWords() {
		fmt.Fprintf(w, "complete -c connector -n __fish_use_subcommand -f -a %s -d %s\n", one.text, quoted(one.brief))
	}
	for _, c := range subcommands() {
		for _, one := range c.words() {
			option := "-a " + one.text
			if name, long := strings.CutPrefix(one.text, "--"); long {
				option = "-l " + name
			} else if name, short := strings.CutPrefix(one.text, "-"); short {
				option = "-s " + name
			}
			if _, err := fmt.Fprintf(w, "complete -c connector -n '__fish_seen_subcommand_from %s' %s -d %s\n", c.name, option, quoted(one.brief)); err != nil {
				return err
			}
		}
	}
	return nil
}

// quoted is a text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
