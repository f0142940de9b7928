"""Who may come in: documents and other claims, the rules that judge them, ways of coming back, and the door itself."""
