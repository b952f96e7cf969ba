"""The SQL: what the project remembers of its runs, its models, its champions and its traffic."""
