"""How good: pure functions with named, frozen rule sets."""
