-- SPDX-License-Identifier: Apache-2.0
-- Looks for a reservation of a user, and changes nothing.
--   KEYS  m event  u users  f free serials  o outbox     ARGV  user
--   gives {gen, rec}: gen 0 when the node knows nothing of the event, rec "" when there is none
return {tonumber(redis.call('HGET', KEYS[1], 'gen') or '0'), redis.call('HGET', KEYS[2], ARGV[1]) or ''}
