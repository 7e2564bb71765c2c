#!lua flags=allow-oom
-- Takes events to tell the cleanup function of, and hides them from the other workers for a while. An event whose worker
-- died comes back by itself.
-- KEYS  1 due  2 claims  3 events  4 tries
-- ARGV  1 how many at most  2 hidden for, ms  3 whether also what is not due yet, 0|1  4 expiry of all keys, s
local due, claims, events, tries, most = KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Whoever claimed these never said what became of them.
local lapsed = redis.call('ZRANGE', claims, '-inf', now, 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
for i = 1, #lapsed, 2 do
  redis.call('ZREM', claims, lapsed[i])
  redis.call('ZADD', due, lapsed[i + 1], lapsed[i])
end

local claimed = {}
for _, id in ipairs(redis.call('ZRANGE', due, '-inf', ARGV[3] == '1' and '+inf' or now, 'BYSCORE', 'LIMIT', 0, most)) do
  redis.call('ZREM', due, id)
  redis.call('ZADD', claims, now + ARGV[2], id)
  local count, first = string.match(redis.call('HGET', tries, id) or '', '^(%d+):(%d+)$')
  count, first = (count or 0) + 1, first or now
  redis.call('HSET', tries, id, count .. ':' .. first)
  claimed[#claimed + 1] = {id, redis.call('HGET', events, id) or '', count, math.max(0, now - first)}
end

-- The lease renews the expiry; a key that is made anew must not be without one until then, lest it stay for ever.
redis.call('EXPIRE', claims, ARGV[4], 'NX')
redis.call('EXPIRE', tries, ARGV[4], 'NX')
redis.call('EXPIRE', due, ARGV[4], 'NX')

local next = -1
for _, key in ipairs({due, claims}) do
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  local wait = first[2] and math.max(0, first[2] - now)
  if wait and (next < 0 or wait < next) then next = wait end
end
return {claimed, next}
