-- Measures a queue. O(workers), independent of the backlog.
--
-- KEYS: 1 active  2 workers  3 inflight prefix  4 meta prefix
-- ARGV: 1 seconds without a heartbeat after which a worker is dead
-- Returns {waiting, in flight, age of the oldest waiting job in ms or -1, live workers}.

local time = redis.call('TIME')
local in_flight = 0
for _, worker in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    in_flight = in_flight + redis.call('SCARD', KEYS[3] .. ':' .. worker)
end

-- The head is the oldest, except for jobs that a dead worker held: they were put back at the tail.
local oldest = nil
for _, position in ipairs({ 0, -1 }) do
    local id = redis.call('LINDEX', KEYS[1], position)
    local enqueued_at = id and tonumber(redis.call('HGET', KEYS[4] .. ':' .. id, 'enqueued_at') or nil)
    if enqueued_at and (not oldest or enqueued_at < oldest) then
        oldest = enqueued_at
    end
end

local age = -1
if oldest then
    age = math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - oldest)
end

local workers = redis.call('ZCOUNT', KEYS[2], '(' .. (time[1] - ARGV[1]), '+inf')
return { redis.call('LLEN', KEYS[1]), in_flight, age, workers }
