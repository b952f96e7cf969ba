"""What the project costs in time and memory, measured: scripts behind `make bench`."""
