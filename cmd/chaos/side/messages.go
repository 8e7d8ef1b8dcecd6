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
// connection was there before and after them. published tells the number of the
// last message of a life whose PUBLISH was acknowledged. An error is a message that
// came twice or out of order.
func (r *Received) Take(m Message, published func(life int64) int64) (missing int64, err error) {
	switch {
	case !r.begun:
		// Those before may have come before the subscriber's own connection was
		// known to those who publish.
		r.begun, r.life, r.last = true, m.Life, m.Number
		return 0, nil
	case m.Life > r.life:
		// The subscriber was there when the old life ended and all through the
		// new one. What ended the old life (its last message is in doubt) may
		// explain what is missing: if it was a fault of either's node.
		missing = max(0, published(r.life)-r.last) + m.Number - 1
		for between := r.life + 1; between < m.Life; between++ {
			missing += published(between)
		}
		r.life, r.last = m.Life, m.Number
		return missing, nil
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
