-- Moves up to ARGV[1] jobs whose time has come into the active list.
--
-- KEYS: 1 data  2 meta prefix  3 active  4 done  5 dead  6 wake channel  7 idle  8 later
--       9 prefix of the records of later
-- ARGV: 1 how many jobs  2 ms after which a job that is due no longer waits for its acknowledgement
-- Returns {due jobs it looked at, jobs moved, jobs lost, ms until the next is due or -1}.

local RECHECK_MS = 50

local now = tonumber(now_ms())
local keys = { data = KEYS[1], meta = KEYS[2], active = KEYS[3], done = KEYS[4], dead = KEYS[5] }
local due = redis.call('ZRANGEBYSCORE', KEYS[8], '-inf', now, 'LIMIT', 0, ARGV[1])
local moved, lost = 0, 0
for _, id in ipairs(due) do
    local meta, record = KEYS[2] .. ':' .. id, KEYS[9] .. ':' .. id
    local fields = redis.call('HMGET', record, 'payload', 'attempt', 'due')
    local status = redis.call('HGET', meta, 'status')
    local since = now - (tonumber(fields[3] or '') or 0)
    if fields[1] and status and not is_finished(status) and since < tonumber(ARGV[2]) then
        -- The worker that failed has not acknowledged it yet.
        redis.call('ZADD', KEYS[8], string.format('%d', now + RECHECK_MS), id)
    else
        redis.call('ZREM', KEYS[8], id)
        redis.call('DEL', record)
        if fields[1] then
            activate(keys, id, fields[1], fields[2] or 1)
            moved = moved + 1
        else
            redis.call('HDEL', meta, 'parked')
            lost = lost + 1
        end
    end
end

if moved > 0 then
    wake(KEYS[7], KEYS[6], moved)
end

local first = redis.call('ZRANGE', KEYS[8], 0, 0, 'WITHSCORES')
return { #due, moved, lost, first[2] and math.max(0, tonumber(first[2]) - now) or -1 }
