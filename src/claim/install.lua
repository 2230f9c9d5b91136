-- SPDX-License-Identifier: Apache-2.0
-- Puts the state of an event as the log has it in the place of whatever is there: opening, every control
-- record and recovery are this one script, the only writer of gen.
--   KEYS  m event  u users  f free serials  o outbox
--   ARGV  gen, ver, n, t0, t1, st (1 open, 2 paused, 3 ended), then user and rec of each holder
--   gives {1, gen} done   {0, gen} that gen or a newer one is there   {7} not a master
--         {9, serial} two holders of it, or 0 for a rec that is none   {10, k} the k-th key is of a wrong type
-- All checks are before the first write.
for k, wanted in ipairs({'hash', 'hash', 'list', 'stream'}) do
    local is = redis.call('TYPE', KEYS[k]).ok
    if is ~= 'none' and is ~= wanted then return {10, k} end
end
local gen = redis.call('HGET', KEYS[1], 'gen')
if gen and tonumber(gen) >= tonumber(ARGV[1]) then return {0, tonumber(gen)} end
local used, last = {}, 0
for k = 7, #ARGV, 2 do
    local serial = tonumber(string.match(ARGV[k + 1] or '', '^%d+ (%d+) %d+ %d+ '))
    if not serial then return {9, 0} end
    if serial > 0 then -- 0: gave it back
        if used[serial] then return {9, serial} end
        used[serial] = true
        if serial > last then last = serial end
    end
end
local i = redis.call('INFO', 'server', 'replication')
if string.match(i, 'role:(%a+)') ~= 'master' then return {7} end
local tok = string.match(i, 'run_id:(%x+)') .. string.match(i, 'master_replid:(%x+)')
local latest = redis.call('HGET', KEYS[1], 'tl') or '0'
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
for k = 7, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[k], ARGV[k + 1]) end
for serial = last, 1, -1 do
    if not used[serial] then redis.call('RPUSH', KEYS[3], serial) end
end
redis.call('HSET', KEYS[1], 'gen', ARGV[1], 'ver', ARGV[2], 'n', ARGV[3], 'next', last + 1, 't0', ARGV[4],
    't1', ARGV[5], 'st', ARGV[6], 'tok', tok, 'tl', latest, 'seq', 0)
return {1, tonumber(ARGV[1])}
