"""What every perception node shares: a lifecycle node that says what it waits for, what is wrong and how fast it is."""
