// Package models holds the tests that walk at random over the commands of each
// type, beside a model of maps and slices that is simple enough to be right.
//
// A walk is a function of bytes: every choice takes some. A test feeds it random
// ones, the fuzzer its own. Between commands the limits of the encodings change,
// all values are dumped and restored, the whole engine is replaced by one that
// comes from a snapshot, and time passes.
package models
