"""What is measured, put together: the samples of all processes of a node, and the snapshot that other nodes see."""
