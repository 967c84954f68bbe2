-- Enqueues jobs that are not already waiting or in flight. One round trip, atomic.
--
-- KEYS: 1 data  2 meta prefix  3 active  4 done  5 dead  6 workers  7 inflight prefix  8 wake channel
-- ARGV: 1 how many jobs may wait, -1 for no limit  then id, payload, id, payload, ...
-- Returns one number per job: 1 new, 0 already queued, 2 not enqueued because the queue is full.

-- Whether a job waits or is in flight. O(backlog), so used only for a job that lost its payload or meta.
local function is_held(id)
    for _, worker in ipairs(redis.call('ZRANGE', KEYS[6], 0, -1)) do
        if redis.call('SISMEMBER', KEYS[7] .. ':' .. worker, id) == 1 then
            return true
        end
    end
    return redis.call('LPOS', KEYS[3], id) ~= false
end

local now = now_ms()
local limit = tonumber(ARGV[1])
local room = limit < 0 and math.huge or limit - redis.call('LLEN', KEYS[3])
local outcome = {}
local added = 0

for i = 2, #ARGV, 2 do
    local id, payload = ARGV[i], ARGV[i + 1]
    local meta = KEYS[2] .. ':' .. id
    local status = redis.call('HGET', meta, 'status')
    local has_payload = redis.call('HEXISTS', KEYS[1], id) == 1

    local queued = false
    if has_payload or status then
        if not is_finished(status) then
            queued = (has_payload and status) or is_held(id)
        end
        if queued and not (has_payload and status) then
            redis.call('HSETNX', KEYS[1], id, payload)
            mend(KEYS[1], KEYS[2], id)
        end
    end

    if queued then
        table.insert(outcome, 0)
    elseif added >= room then
        table.insert(outcome, 2)
    else
        if has_payload or status then
            redis.call('SREM', KEYS[4], id)
            redis.call('SREM', KEYS[5], id)
            redis.call('DEL', meta)
        end
        redis.call('HSET', KEYS[1], id, payload)
        write_meta(meta, now)
        redis.call('RPUSH', KEYS[3], id)
        table.insert(outcome, 1)
        added = added + 1
    end
end

if added > 0 then
    redis.call('PUBLISH', KEYS[8], added)
end

return outcome
