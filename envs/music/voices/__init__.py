"""Facts across voices: two voices against each other, and the chord that sounds."""
