-- SPDX-License-Identifier: Apache-2.0
-- Puts the state of an event as the log has it in the place of whatever is there: opening, every control
-- record and recovery are this one script, the only writer of gen. Its holders come in parts, a call for
-- each, so that no command is long; they are laid aside until the last part puts all in place at once.
--   KEYS  m event  u users  f free serials  o outbox, and aside: s users so far, b a bit for each serial of theirs
--   ARGV  gen, ver, n, t0, t1, st (1 open, 2 paused, 3 ended), holders of all parts, of the parts before,
--         then user and rec of each holder of this part
--   gives {1, gen} done   {0, gen} that gen or a newer one is there   {2, k} k holders are laid aside: go on with
--         the next one   {7} not a master   {9, serial} two holders of it, or 0 for a rec that is none
--         {10, k} the k-th key is of a wrong type
-- All checks of what is in force are before the first write to it.
local m, u, f, o, s, b = unpack(KEYS)
for k, wanted in ipairs({'hash', 'hash', 'list', 'stream', 'hash', 'string'}) do
    local is = redis.call('TYPE', KEYS[k]).ok
    if is ~= 'none' and is ~= wanted then return {10, k} end
end
local gen = redis.call('HGET', m, 'gen')
if gen and tonumber(gen) >= tonumber(ARGV[1]) then return {0, tonumber(gen)} end
local i = redis.call('INFO', 'server', 'replication')
if string.match(i, 'role:(%a+)') ~= 'master' then return {7} end
local all, before = tonumber(ARGV[7]), tonumber(ARGV[8])
if before == 0 then
    redis.call('UNLINK', s, b)
    redis.call('HSET', s, '', ARGV[1]) -- no user is called that
else
    local aside = redis.call('HGET', s, '') == ARGV[1] and redis.call('HLEN', s) - 1 or 0
    if aside ~= before then return {2, aside} end
end
local function refuse(serial)
    redis.call('UNLINK', s, b)
    return {9, serial}
end
for first = 9, #ARGV, 500 do -- one command for many is faster
    local past, bits = math.min(first + 500, #ARGV + 1), {'BITFIELD', b}
    for k = first, past - 1, 2 do
        local serial = tonumber(string.match(ARGV[k + 1] or '', '^%d+ (%d+) %d+ %d+ '))
        if not serial then return refuse(0) end
        if serial > 0 then -- 0: gave it back
            local n = #bits
            bits[n + 1], bits[n + 2], bits[n + 3], bits[n + 4] = 'SET', 'u1', serial, 1
        end
    end
    if #bits > 2 then
        for n, was in ipairs(redis.call(unpack(bits))) do
            if was == 1 then return refuse(bits[n * 4 + 1]) end
        end
    end
    redis.call('HSET', s, unpack(ARGV, first, past - 1))
end
local aside = redis.call('HLEN', s) - 1
if aside < all then
    redis.call('EXPIRE', s, 600) -- whoever brings the rest may die
    redis.call('EXPIRE', b, 600)
    return {2, aside}
end
local tok = string.match(i, 'run_id:(%x+)') .. string.match(i, 'master_replid:(%x+)')
local latest = redis.call('HGET', m, 'tl') or '0'
local bits, last = redis.call('GET', b) or '', 0
redis.call('UNLINK', m, u, f, o, b)
for n = #bits, 1, -1 do
    local byte = string.byte(bits, n)
    for serial = n * 8 - 1, last > 0 and byte == 255 and n * 8 or n * 8 - 8, -1 do
        local is_used = byte % 2 == 1
        byte = (byte - byte % 2) / 2
        if is_used and last == 0 then last = serial end
        if not is_used and serial > 0 and serial < last then redis.call('RPUSH', f, serial) end
    end
end
redis.call('HDEL', s, '')
if aside > 0 then
    redis.call('RENAME', s, u)
    redis.call('PERSIST', u)
end
redis.call('HSET', m, 'gen', ARGV[1], 'ver', ARGV[2], 'n', ARGV[3], 'next', last + 1, 't0', ARGV[4],
    't1', ARGV[5], 'st', ARGV[6], 'tok', tok, 'tl', latest, 'seq', 0)
return {1, tonumber(ARGV[1])}
