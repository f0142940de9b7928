"""Claims about the judge of provinces and booking platforms: it lets ours pass, and catches wrong ones."""
