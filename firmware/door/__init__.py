"""Who may come in: claims, the rules they are judged by, ways of coming back, and the one that opens."""
