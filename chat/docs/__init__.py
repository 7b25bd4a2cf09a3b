"""`/docs`: the documentation of this version, as pages that need nothing from elsewhere."""
