"""Training under a price on every connection, in runs that survive being killed."""
