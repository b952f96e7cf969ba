"""The pages of the reference, each written from what it describes whenever the site is built."""
