-- Records that an attempt of a job failed: stores the job for its next attempt, or as a dead letter. The
-- worker acknowledges it afterwards, like a job that succeeded. Safe to repeat.
--
-- KEYS: 1 data  2 meta prefix  3 the worker's inflight set  4 later  5 prefix of the records of later
--       6 dead letters  7 prefix of the records of dead letters
-- ARGV: 1 id  2 the attempt that failed  3 ms until the next one, or -1 for a dead letter  4 type of the
--        error 5 its message
-- Returns 1, or 0 if the worker no longer has the job, which was or will be redelivered then, or if its
-- payload is lost.

local id = ARGV[1]
local meta = KEYS[2] .. ':' .. id
if redis.call('SISMEMBER', KEYS[3], id) == 0 then
    return 0
end
if redis.call('HGET', meta, 'parked') then
    return 1
end
local payload = redis.call('HGET', KEYS[1], id)
if not payload then
    return 0
end

if tonumber(ARGV[3]) >= 0 then
    park_until({ meta = KEYS[2], later = KEYS[4], record = KEYS[5] }, id, payload, ARGV[2] + 1, ARGV[3])
else
    local record = KEYS[7] .. ':' .. id
    redis.call('HSET', record, 'payload', payload, 'attempts', ARGV[2])
    redis.call('HSET', record, 'error_type', ARGV[4], 'error_message', ARGV[5])
    redis.call('ZADD', KEYS[6], now_ms(), id)
    redis.call('HSET', meta, 'parked', 'dead_letter')
end
return 1
