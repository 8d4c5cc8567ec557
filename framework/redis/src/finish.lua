-- Puts the next generation in place of the live one.
-- KEYS: projection, then what the live generation is kept in and what the next one is, by turns
-- ARGV: the number of the rebuild, the checkpoint that the next generation must have, the time
local projection, number, expected = KEYS[1], ARGV[1], ARGV[2]

-- Of numbers as texts: a number in Lua is exact up to 2^53 only.
local function is_less(left, right)
  if #left ~= #right then return #left < #right end
  return left < right
end

local next = redis.call('HGET', projection, 'next')
local live = redis.call('HGET', projection, 'live') or '0'
local goes_on = next and redis.call('HGET', projection, 'rebuild:number') == number
  and redis.call('HEXISTS', projection, 'rebuild:ended_at') == 0
if not goes_on then return { 'ended' } end
if next ~= expected then return { 'moved', next } end
if is_less(expected, live) then return { 'moved', live } end

for place = 2, #KEYS, 2 do
  redis.call('UNLINK', KEYS[place])
  if redis.call('EXISTS', KEYS[place + 1]) == 1 then redis.call('RENAME', KEYS[place + 1], KEYS[place]) end
end
redis.call('HSET', projection, 'live', next, 'rebuild:ended_at', ARGV[3])
redis.call('HDEL', projection, 'next')
redis.call('HINCRBY', projection, 'epoch', 1)
return { 'written' }
