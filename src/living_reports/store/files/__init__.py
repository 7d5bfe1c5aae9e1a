"""The folder store: the files of a reports directory, and the guarantees that hold for them.

Read in this order: `durable` (the only writer of bytes), `lock` (one writer at a time), `log` (the
events and their chain), `catalogue` (the index of all reports), `folder` (the files of one report, and any
version of it), `commit`, `recovery` (after a crash or an edit by hand), `verify` (one report against its
log), `transfer` (export and import), `doctor` (check and repair of everything), `search`, `store`
(everything together).
"""
