"""Claims about statements that the province signed: how the lock accepts, keeps, replaces and refuses them."""
