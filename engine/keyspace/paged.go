package keyspace

const pageLen = 256

// A paged array grows a page at a time: an element never moves, and growth copies only page pointers.
type paged[T any] struct {
	pages []*[pageLen]T
	len   uint32
}

func (p *paged[T]) at(i uint32) *T { return &p.pages[i/pageLen][i%pageLen] }

// grow adds a zero element and returns its index.
func (p *paged[T]) grow() uint32 {
	if p.len%pageLen == 0 {
		p.pages = append(p.pages, new([pageLen]T))
	}
	p.len++
	return p.len - 1
}
