-- Deletes up to ARGV[1] finished jobs with their payload and meta.
--
-- KEYS: 1 done  2 dead  3 data  4 meta prefix
-- Returns how many ids it took from the two sets; 0 means that nothing is left to delete.

local taken = 0
local ids, metas = {}, {}
for _, finished in ipairs({ KEYS[1], KEYS[2] }) do
    local room = tonumber(ARGV[1]) - taken
    if room > 0 then
        for _, id in ipairs(redis.call('SPOP', finished, room)) do
            local meta = KEYS[4] .. ':' .. id
            local fields = redis.call('HMGET', meta, 'status', 'parked')
            -- Enqueueing a job again removes it from these sets. A job that is not finished must never be
            -- deleted.
            if fields[2] and (not fields[1] or is_finished(fields[1])) then
                delete_job(KEYS[3], meta, id, fields[2])
            elseif not fields[1] or is_finished(fields[1]) then
                table.insert(ids, id)
                table.insert(metas, meta)
            end
            taken = taken + 1
        end
    end
end

if #ids > 0 then
    redis.call('HDEL', KEYS[3], unpack(ids))
    redis.call('DEL', unpack(metas))
end
return taken
