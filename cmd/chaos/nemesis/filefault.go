package nemesis

// fileFaults damage the files of a stopped node.
var fileFaults []kind
