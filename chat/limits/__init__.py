"""How often users and addresses may do something. Pure but for `sharing`, which tells the other processes."""
