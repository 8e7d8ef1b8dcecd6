package side

import "fmt"

// Message is one published message: the number of its publisher's life, its
// number in it, and what the publisher had seen of its own counter.
type Message struct {
	Life, Number, Saw int64
}

// Received follows one publisher's messages on one connection of a subscriber.
type Received struct {
	life, last int64
	begun      bool
}

// Take takes the next message. missing is how many were passed over: the
// connection was there before and after them. An error is a message that came
// twice or out of order.
func (r *Received) Take(m Message) (missing int64, err error) {
	switch {
	case !r.begun || m.Life > r.life:
		// The first of a life may have come before its connection was known
		// to those who publish.
		r.begun, r.life, r.last = true, m.Life, m.Number
		return 0, nil
	case m.Life < r.life:
		return 0, fmt.Errorf("message %d of life %d came after one of life %d", m.Number, m.Life, r.life)
	case m.Number == r.last:
		return 0, fmt.Errorf("message %d came twice", m.Number)
	case m.Number < r.last:
		return 0, fmt.Errorf("message %d came after %d", m.Number, r.last)
	}
	missing = m.Number - r.last - 1
	r.last = m.Number
	return missing, nil
}

// CheckCausal is the causal rule: who gets a message and then reads sees at
// least what its publisher saw.
func CheckCausal(m Message, read int64) error {
	if read < m.Saw {
		return fmt.Errorf("message %d was published after its publisher saw %d; read after it: %d", m.Number, m.Saw, read)
	}
	return nil
}
