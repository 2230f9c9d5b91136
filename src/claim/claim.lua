-- SPDX-License-Identifier: Apache-2.0
-- Reserves a serial of an event for a user. What it gives becomes true only in the log.
--   KEYS  m event  u users  f free serials  o outbox     ARGV  user, claim id, newest gen the asker has seen
--   gives {code, gen, ver, …}:  0 WIN rec   1 HAVE rec   2 SOLD_OUT   3 NOT_STARTED ms until then
--                               4 ENDED   5 PAUSED   6 STALE   7 FENCED   8 NO_STATE (alone)
--   rec is "gen serial ms seq claim"; serial 0 is a user who gave a coupon back.
-- An error keeps the writes before it, so everything is looked at before the first write.
local m = redis.call('HMGET', KEYS[1], 'st', 'gen', 'ver', 'n', 'next', 't0', 't1', 'tok', 'tl')
if not m[1] then return {8} end -- never created from a default
local gen, ver = tonumber(m[2]), tonumber(m[3])
-- The log is ahead of this node. Before HAVE: a reservation of an older gen would come back for ever.
if gen < tonumber(ARGV[3]) then return {6, gen, ver} end
local have = redis.call('HGET', KEYS[2], ARGV[1])
if have then return {1, gen, ver, have} end
if m[1] ~= '1' then return {m[1] == '3' and 4 or 5, gen, ver} end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local latest = tonumber(m[9])
if now < latest then now = latest end -- time never goes back
if now < tonumber(m[6]) then return {3, gen, ver, tonumber(m[6]) - now} end
if now >= tonumber(m[7]) then return {4, gen, ver} end
local following, n, free = tonumber(m[5]), tonumber(m[4]), redis.call('LLEN', KEYS[3])
if free == 0 and following > n then return {2, gen, ver} end -- a loser writes nothing and needs no fence
-- Only the process that the state was installed into may hand out: another one has lost its end.
local i = redis.call('INFO', 'server', 'replication')
local tok = string.match(i, 'run_id:(%x+)') .. string.match(i, 'master_replid:(%x+)')
if tok ~= m[8] then return {7, gen, ver} end
redis.call('XLEN', KEYS[4]) -- an error now when it is no stream
local serial
if free > 0 then
    serial = tonumber(redis.call('RPOP', KEYS[3]))
else
    serial = following
    redis.call('HSET', KEYS[1], 'next', following + 1)
end
redis.call('HSET', KEYS[1], 'tl', now)
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
local rec = gen .. ' ' .. serial .. ' ' .. now .. ' ' .. seq .. ' ' .. ARGV[2]
redis.call('HSET', KEYS[2], ARGV[1], rec)
redis.call('XADD', KEYS[4], gen .. '-' .. seq, 'u', ARGV[1], 'r', rec)
return {0, gen, ver, rec}
