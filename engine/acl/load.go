package acl

import (
	"errors"
	"fmt"
	"strings"
)

// Source is where lines of users come from.
type Source struct {
	// File names the file in errors.
	File string
	// Conf: it is a configuration file, which may leave the default user to requirepass.
	Conf bool
}

// Load returns the users that the lines of a file make, in the place of all others. Each
// line is empty or "user", a name, and rules. They are new users, whatever their names:
// connections of users before them end, but for those of the default user. If the lines
// do not tell of that one, it begins anew; or stays, if they are a configuration's. The
// error names file and line of all that is wrong.
func (us *Users) Load(from Source, lines []string, d Defaults, catalog *Catalog) (*Users, error) {
	next := &Users{changes: us.changes, settled: true}
	var wrong strings.Builder
	for i, line := range lines {
		line = strings.Trim(line, " \t\r\n")
		if line == "" {
			continue
		}
		next.loadLine(place{from.File, i + 1}, strings.Split(line, " "), d, catalog, &wrong)
	}
	if wrong.Len() > 0 {
		return nil, errors.New(wrong.String() + "WARNING: ACL errors detected, no change to the previously active ACL rules was performed")
	}
	own, given := us.Get(Default), next.Get(Default)
	switch {
	case given == nil && from.Conf:
		next.settled = us.settled
		next = next.With(own)
	case given == nil:
		given = almighty()
		fallthrough
	default:
		given = given.clone()
		given.Born = own.Born
		next = next.With(given)
	}
	if next.tooLarge() {
		return nil, ErrTooMany
	}
	next.changes++
	return next, nil
}

// place is a line of a file.
type place struct {
	file string
	line int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

// loadLine adds the user of a line to users that nobody else knows yet.
func (us *Users) loadLine(at place, words []string, d Defaults, catalog *Catalog, wrong *strings.Builder) {
	if words[0] != "user" || len(words) < 2 {
		fmt.Fprintf(wrong, "%s should start with user keyword followed by the username. ", at)
		return
	}
	name := words[1]
	switch {
	case !ValidName(name):
		fmt.Fprintf(wrong, "'%s: username '%s' contains invalid characters. ", at, name)
		return
	case us.Get(name) != nil:
		fmt.Fprintf(wrong, "WARNING: Duplicate user '%s' found on line %d. ", name, at.line)
		return
	}
	us.changes++
	u := newUser(name, us.changes, d)
	*us = *us.With(u)
	rules, err := Merge(words[2:])
	if err != nil {
		fmt.Fprintf(wrong, "%s: Unmatched parenthesis in selector definition.", at)
		return
	}
	e := editor{user: u, defaults: d, catalog: catalog}
	told := false // of what is wrong beside unknown names: the first may cause the rest
	for _, rule := range rules {
		rule = strings.Trim(rule, "\t\r\n")
		switch err := e.rule(rule); {
		case errors.Is(err, errUnknown):
			fmt.Fprintf(wrong, "%s: Error in applying operation '%s': %s. ", at, rule, err)
		case err != nil && !told:
			fmt.Fprintf(wrong, "%s: %s. ", at, err)
			told = true
		}
	}
}

// HashedLines returns the lines of a file with hashes in the place of passwords. Only
// that may go into the log.
func HashedLines(lines []string) []string {
	hashed := make([]string, len(lines))
	for i, line := range lines {
		words := strings.Split(strings.Trim(line, " \t\r\n"), " ")
		if len(words) > 2 {
			copy(words[2:], Hashed(words[2:]))
		}
		hashed[i] = strings.Join(words, " ")
	}
	return hashed
}

// Lines returns all users as a file holds them.
func (c *Catalog) Lines(us *Users) []string {
	lines := make([]string, len(us.list))
	for i, u := range us.list {
		lines[i] = c.Line(u)
	}
	return lines
}
