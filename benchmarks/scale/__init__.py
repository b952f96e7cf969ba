"""What more workers, more tuners, more memory and more machines bring, each held to its bar."""
