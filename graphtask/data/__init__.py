"""Where images come from, what is done to them once, and how they reach the network batch by batch."""
