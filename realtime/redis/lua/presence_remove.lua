-- Remove a client from a channel.
--
-- ARGV: client
forget(ARGV[1])
return 0
