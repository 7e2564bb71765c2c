#!lua flags=allow-oom
-- Brings events back that were given up: due now, and as if they had never been tried.
-- KEYS  1 dead  2 due  3 events  4 tries
-- ARGV  1 expiry of all keys, s  2.. their places among the dead
local dead, due, events, tries = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local replayed = 0
for i = 2, #ARGV do
  local place = ARGV[i]
  local entry = redis.call('XRANGE', dead, place, place)[1]
  if entry then
    local fields = {}
    for k = 1, #entry[2], 2 do fields[entry[2][k]] = entry[2][k + 1] end
    redis.call('XDEL', dead, place)
    if fields.id and redis.call('HSETNX', events, fields.id, fields.event or '') == 1 then
      redis.call('HDEL', tries, fields.id)
      redis.call('ZADD', due, now, fields.id)
    end
    replayed = replayed + 1
  end
end
-- See claim.lua.
for _, key in ipairs({due, events}) do redis.call('EXPIRE', key, ARGV[1], 'NX') end
return replayed
