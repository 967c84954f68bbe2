-- Sends the heartbeat of this process' workers, and puts the jobs of dead workers back into the active list.
--
-- apalis has a script for this. This one uses Redis' clock instead of the workers' clocks, does not `unpack`
-- the jobs (which fails above about 8,000), drops jobs that lost their payload, and deletes the dead worker's
-- keys.
--
-- KEYS: 1 workers  2 inflight prefix  3 active  4 data  5 meta prefix  6 worker metadata prefix
--       7 wake channel  8 scheduled  9 idle
-- ARGV: 1 seconds without a heartbeat after which a worker is dead  2.. names of this process' workers
-- Returns {dead workers, jobs put back, jobs lost}.

local now = tonumber(redis.call('TIME')[1])
for i = 2, #ARGV do
    redis.call('ZADD', KEYS[1], 'XX', now, ARGV[i])
end

-- Nothing of this crate adds to `:scheduled`, and apalis' fetch fails permanently when too much is in it.
redis.call('DEL', KEYS[8])

local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[1]))
local returned, lost = 0, 0
for _, worker in ipairs(dead) do
    local inflight = KEYS[2] .. ':' .. worker
    -- To the tail of the list: if one of these jobs killed the worker, the others go first.
    local worker_returned, worker_lost = put_back(inflight, {}, 'RPUSH', KEYS[3], KEYS[4], KEYS[5])
    returned, lost = returned + worker_returned, lost + worker_lost
    redis.call('DEL', inflight, KEYS[6] .. ':' .. worker)
    redis.call('ZREM', KEYS[1], worker)
end

if returned > 0 then
    wake(KEYS[9], KEYS[7], returned)
end

return { #dead, returned, lost }
