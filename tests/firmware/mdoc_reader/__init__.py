"""Claims about reading: what is asked for, which wallets answer, how a session ends."""
