"""A bench for crashes: record what is done to the disk, derive what a crash may leave, look at each.

`recorder` writes down the operations of a run, `model` is a file system that says which states
a crash may leave, `scenarios` are the runs, `bench` opens each state with the library and checks
it against what had been acknowledged.
"""
