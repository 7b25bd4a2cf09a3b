"""What the application's servers decide over users: who may be here, by which tokens, and what is known of them."""
