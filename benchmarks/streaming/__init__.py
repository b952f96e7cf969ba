"""Whether what is learned from a stream is right, survives everything, and keeps up."""
