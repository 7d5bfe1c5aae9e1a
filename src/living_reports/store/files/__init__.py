"""The folder store: the files of a reports directory, and the guarantees that hold for them.

Read in this order: `durable` (the only writer of bytes), `lock` (one writer at a time), `log` (the
events and their chain), `catalogue` (the index of all reports), `folder` (the files of one report, and any
version of it), `commit`, `recovery` (after a crash or an edit by hand), `verify` and `transfer`,
`doctor` and `repair`, `search`, `store` (everything together).
"""
