"""The admin page: who may see it, what it shows live, and the little it lets an operator do."""
