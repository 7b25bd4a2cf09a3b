"""Web Push (RFC 8030, 8291, 8292): browsers, and what speaks the same, like UnifiedPush and ntfy."""
