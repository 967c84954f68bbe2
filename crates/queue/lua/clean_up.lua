-- Deletes up to ARGV[1] finished jobs with their payload and meta.
--
-- KEYS: 1 done  2 dead  3 data  4 meta prefix
-- Returns how many ids it took from the two sets; 0 means that nothing is left to delete.

local taken = 0
for _, finished in ipairs({ KEYS[1], KEYS[2] }) do
    local room = tonumber(ARGV[1]) - taken
    if room > 0 then
        for _, id in ipairs(redis.call('SPOP', finished, room)) do
            local meta = KEYS[4] .. ':' .. id
            local status = redis.call('HGET', meta, 'status')
            -- Enqueueing a job again removes it from these sets. A job that is not finished must never be
            -- deleted.
            if not status or is_finished(status) then
                redis.call('HDEL', KEYS[3], id)
                redis.call('DEL', meta)
            end
            taken = taken + 1
        end
    end
end

return taken
