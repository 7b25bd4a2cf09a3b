"""The product as the real-time engine sees it: who may connect, what they are subscribed to, what commands do."""
