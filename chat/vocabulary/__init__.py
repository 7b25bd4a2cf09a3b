"""The words of the wire: requests, results and events as typed structs. What validates is what is documented."""
