-- Measures a queue. O(1): independent of the backlog and of the number of workers.
--
-- KEYS: 1 active  2 data  3 done  4 dead  5 workers  6 meta prefix  7 later
--       8 dead letters
-- ARGV: 1 seconds without a heartbeat after which a worker is dead
-- Returns {waiting, in flight, age of the oldest waiting job in ms or -1, live workers, waiting for their
-- time, dead letters}.

local time = redis.call('TIME')
local waiting = redis.call('LLEN', KEYS[1])

-- Every job has a payload from enqueue until clean-up. One that neither waits nor finished is in flight.
local finished = redis.call('SCARD', KEYS[3]) + redis.call('SCARD', KEYS[4])
local in_flight = math.max(0, redis.call('HLEN', KEYS[2]) - waiting - finished)

-- The head is the oldest, except for jobs that a dead worker held: they were put back at the tail.
local oldest = nil
for _, position in ipairs({ 0, -1 }) do
    local id = redis.call('LINDEX', KEYS[1], position)
    local enqueued_at = id and tonumber(redis.call('HGET', KEYS[6] .. ':' .. id, 'enqueued_at') or nil)
    if enqueued_at and (not oldest or enqueued_at < oldest) then
        oldest = enqueued_at
    end
end

local age = -1
if oldest then
    age = math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - oldest)
end

local workers = redis.call('ZCOUNT', KEYS[5], '(' .. (time[1] - ARGV[1]), '+inf')
local later, dead_letters = redis.call('ZCARD', KEYS[7]), redis.call('ZCARD', KEYS[8])
return { waiting, in_flight, age, workers, later, dead_letters }
