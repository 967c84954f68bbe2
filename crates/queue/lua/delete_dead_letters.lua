-- Deletes dead letters.
--
-- KEYS: 1 dead letters  2 prefix of their records
-- ARGV: ids
-- Returns how many it deleted.

local deleted = 0
for _, id in ipairs(ARGV) do
    redis.call('DEL', KEYS[2] .. ':' .. id)
    deleted = deleted + redis.call('ZREM', KEYS[1], id)
end
return deleted
