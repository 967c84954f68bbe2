-- Deregisters one worker that no longer runs: acknowledges the jobs that it finished and apalis did not
-- acknowledge, puts back those that it fetched and never started, and deletes its keys, unless some of its
-- jobs still run.
--
-- KEYS: 1 workers  2 the worker's inflight set  3 active  4 data  5 meta prefix  6 the worker's metadata
--       7 done  8 dead  9 wake channel  10 idle
-- ARGV: 1 the worker's name  2 n, the number of finished jobs  then n times (id, enqueued_at, status)
--       then the ids of jobs that still run
-- Returns {jobs acknowledged, jobs put back, jobs lost}.

local finished = tonumber(ARGV[2])
local acknowledged = 0
for i = 0, finished - 1 do
    local id, enqueued_at, status = ARGV[3 + i * 3], ARGV[4 + i * 3], ARGV[5 + i * 3]
    local meta = KEYS[5] .. ':' .. id
    -- A job of the same id that was enqueued later, and is in flight now, is not finished.
    if redis.call('HGET', meta, 'enqueued_at') == enqueued_at and redis.call('SREM', KEYS[2], id) == 1 then
        redis.call('SADD', status == 'Done' and KEYS[7] or KEYS[8], id)
        redis.call('HSET', meta, 'status', status, 'done_at', redis.call('TIME')[1])
        acknowledged = acknowledged + 1
    end
end

local running = {}
for i = 3 + finished * 3, #ARGV do
    running[ARGV[i]] = true
end

-- To the head of the list: these jobs were next.
local returned, lost = put_back(KEYS[2], running, 'LPUSH', KEYS[3], KEYS[4], KEYS[5])

if next(running) == nil then
    redis.call('ZREM', KEYS[1], ARGV[1])
    redis.call('DEL', KEYS[2], KEYS[6])
end

if returned > 0 then
    wake(KEYS[10], KEYS[9], returned)
end

return { acknowledged, returned, lost }
