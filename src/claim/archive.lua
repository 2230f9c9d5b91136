-- SPDX-License-Identifier: Apache-2.0
-- Gives the keys of an event that is over an end. An install brings them back without one.
--   KEYS  m event  u users  f free serials  o outbox     ARGV  gen, seconds
--   gives {1, gen} done   {0, gen} another gen is there   {0, 0} nothing is there
local gen = redis.call('HGET', KEYS[1], 'gen')
if gen ~= ARGV[1] then return {0, tonumber(gen or '0')} end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[2]) end
return {1, tonumber(gen)}
