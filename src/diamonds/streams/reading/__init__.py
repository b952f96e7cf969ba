"""What is read from a feed: pages that can be believed, in order."""
