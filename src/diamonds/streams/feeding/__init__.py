"""Feeds to learn from where there is no other: pages of rows from generators and files, growing and faulty at will."""
