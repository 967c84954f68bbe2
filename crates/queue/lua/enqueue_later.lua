-- Stores a job until its time, unless it is queued already.
--
-- KEYS: 1 data  2 meta prefix  3 later  4 prefix of the records of later
-- ARGV: 1 id  2 payload  3 delay in ms
-- Returns 1 new, 0 already queued.

local id = ARGV[1]
local meta = KEYS[2] .. ':' .. id
local fields = redis.call('HMGET', meta, 'status', 'parked')
local unfinished = fields[1] and not is_finished(fields[1])
if fields[2] == 'later' or unfinished and redis.call('HEXISTS', KEYS[1], id) == 1 then
    return 0
end

park_until({ meta = KEYS[2], later = KEYS[3], record = KEYS[4] }, id, ARGV[2], 1, ARGV[3])
return 1
