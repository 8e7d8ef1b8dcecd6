package session_test

import "testing"

// Who applies the log only tells that clients take too much; somebody else cuts them.
func TestGrownLeavesTheCutToOthers(t *testing.T) {
	n := newNode(t, nil)
	c, d := n.client(), n.client()
	d.out.takes.Store(100 << 10)
	d.expect(lines("CONFIG SET maxmemory-clients 300000"), "+OK")
	c.out.takes.Store(1 << 20)
	c.session.Grown()
	c.session.Grown()
	if c.out.dead.Load() {
		t.Error("Grown has cut the client")
	}
	select {
	case <-n.server.Crowded():
	default:
		t.Fatal("nobody was told")
	}
	n.server.EvictClients()
	if !c.out.dead.Load() || d.out.dead.Load() {
		t.Errorf("the large client is cut: %v, the small one: %v", c.out.dead.Load(), d.out.dead.Load())
	}
	select {
	case <-n.server.Crowded():
		t.Error("told twice")
	default:
	}
}
