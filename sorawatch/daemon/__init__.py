"""The watch-folder daemon: a loop of short transactions, and threads that carry out the actions they decide on."""
