-- The head of every script: functions that add jobs to the active list.
--
-- apalis' fetch script fails permanently, for every worker, when the active list names a job without payload,
-- or one whose meta hash lacks `attempts`, `max_attempts` or `status`. So jobs enter the active list only
-- after `mend` or `write_meta`.

-- Redis' clock in ms, as text: Lua would print so large a number as 1.7e+12.
local function now_ms()
    local time = redis.call('TIME')
    return string.format('%d%03d', time[1], math.floor(time[2] / 1000))
end

local function is_finished(status)
    return status == 'Done' or status == 'Killed' or status == 'Failed'
end

-- Whether the active list has the job. O(backlog): about 10 us per 1,000 jobs before it.
local function waits(active, id)
    return redis.call('LPOS', active, id) ~= false
end

-- apalis' fetch script requires `max_attempts`. Retries are up to the caller, who enqueues the job again.
local function write_meta(meta, enqueued_at)
    redis.call('HSET', meta, 'attempts', 0, 'max_attempts', 1, 'status', 'Pending', 'enqueued_at', enqueued_at)
end

-- Makes an unfinished job fetchable. Returns false if its payload is lost: then it must not be fetched.
local function mend(data, meta_prefix, id)
    local meta = meta_prefix .. ':' .. id
    if redis.call('HEXISTS', data, id) == 0 then
        redis.call('DEL', meta)
        return false
    end
    local fields = redis.call('HMGET', meta, 'attempts', 'max_attempts', 'status', 'enqueued_at')
    if not (fields[1] and fields[2] and fields[3] and fields[4]) then
        write_meta(meta, fields[4] or now_ms())
    end
    return true
end

-- Wakes up to `count` of the workers that wait for jobs. Each enters the set again when it polls.
-- One that died receives no message, and the next is woken in its place. Workers of release 0.1 all listen to
-- the channel itself, and are woken if no other worker is.
local function wake(idle, channel, count)
    local woken = 0
    for _ = 1, count + 16 do
        local worker = woken < count and redis.call('SPOP', idle)
        if not worker then
            break
        end
        if redis.call('PUBLISH', channel .. ':' .. worker, '') > 0 then
            woken = woken + 1
        end
    end
    if woken == 0 then
        redis.call('PUBLISH', channel, count)
    end
end

-- Deletes a finished job, or one whose record lies elsewhere. `parked` is the field of its meta of that name:
-- with `later` the meta stays, and only says so.
local function delete_job(data, meta, id, parked)
    redis.call('HDEL', data, id)
    redis.call('DEL', meta)
    if parked == 'later' then
        redis.call('HSET', meta, 'parked', parked)
    end
end

-- Stores a job for its attempt of this number, which is due after `delay` ms.
local function park_until(keys, id, payload, attempt, delay)
    local due = string.format('%d', now_ms() + delay)
    redis.call('HSET', keys.record .. ':' .. id, 'payload', payload, 'attempt', attempt, 'due', due)
    redis.call('ZADD', keys.later, due, id)
    redis.call('HSET', keys.meta .. ':' .. id, 'parked', 'later')
end

-- Puts a job that is neither waiting nor in flight into the active list, for its attempt of this number.
local function activate(keys, id, payload, attempt)
    local meta = keys.meta .. ':' .. id
    redis.call('SREM', keys.done, id)
    redis.call('SREM', keys.dead, id)
    redis.call('DEL', meta)
    redis.call('HSET', keys.data, id, payload)
    write_meta(meta, now_ms())
    redis.call('HSET', meta, 'attempt', attempt)
    redis.call('RPUSH', keys.active, id)
end

-- Moves the jobs of an inflight set back to the active list with `push` (LPUSH or RPUSH), except those in
-- `running`. A job whose failure is recorded, and whose acknowledgement is missing, is acknowledged instead.
-- Returns how many it moved, and how many it dropped because their payload is lost.
local function put_back(inflight, running, push, active, data, meta_prefix)
    local returned, lost = 0, 0
    for _, id in ipairs(redis.call('SMEMBERS', inflight)) do
        if not running[id] then
            local meta = meta_prefix .. ':' .. id
            local parked = redis.call('HGET', meta, 'parked')
            redis.call('SREM', inflight, id)
            if parked then
                delete_job(data, meta, id, parked)
            elseif mend(data, meta_prefix, id) then
                redis.call(push, active, id)
                returned = returned + 1
            else
                lost = lost + 1
            end
        end
    end
    return returned, lost
end

