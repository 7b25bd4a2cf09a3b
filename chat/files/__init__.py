"""Where uploaded files are: on disk or in an S3-compatible store; what they are; and removing those nobody needs."""
