"""What voices that hear each other sing, how a network hears it, and what it remembers."""
