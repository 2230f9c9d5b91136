-- SPDX-License-Identifier: Apache-2.0
-- Reads all that a node has of an event, at one moment, and changes nothing.
--   KEYS  m event  u users  f free serials  o outbox
--   ARGV  holders that are wanted at most, or ''   of more only the number is given, in the place of u, and 0 for f
--   gives {types, ttls, {now ms, tok, maxmemory-policy}, m, u, f}: the types and PTTLs of the keys; m and u as
--         fields and values in turn; of a key of a wrong type nothing is read
local types, ttls = {}, {}
for k = 1, 4 do
    types[k] = redis.call('TYPE', KEYS[k]).ok
    ttls[k] = redis.call('PTTL', KEYS[k])
end
local function all_of(k, wanted, ...)
    if types[k] == wanted then return redis.call(...) end
    return {}
end
local i = redis.call('INFO', 'server', 'replication', 'memory')
local tok = string.match(i, 'run_id:(%x+)') .. string.match(i, 'master_replid:(%x+)')
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local holders = types[2] == 'hash' and redis.call('HLEN', KEYS[2]) or 0
local wants_all = holders <= (tonumber(ARGV[1] or '') or holders)
return {types, ttls, {now, tok, string.match(i, 'maxmemory_policy:([%w-]+)') or ''},
    all_of(1, 'hash', 'HGETALL', KEYS[1]), wants_all and all_of(2, 'hash', 'HGETALL', KEYS[2]) or holders,
    wants_all and all_of(3, 'list', 'LRANGE', KEYS[3], 0, -1) or 0}
