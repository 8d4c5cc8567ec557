-- Puts the next generation in place of the live one.
-- KEYS: projection, then what the live generation is kept in and what the next one is, by turns
-- ARGV: the checkpoint that the next generation must have
local projection, expected = KEYS[1], ARGV[1]

-- Of numbers as texts: a number in Lua is exact up to 2^53 only.
local function is_less(left, right)
  if #left ~= #right then return #left < #right end
  return left < right
end

local next = redis.call('HGET', projection, 'next')
local live = redis.call('HGET', projection, 'live') or '0'
if (next or '0') ~= expected then return { 'moved', next or '0' } end
if is_less(expected, live) then return { 'moved', live } end
if not next then return { 'none' } end

for place = 2, #KEYS, 2 do
  redis.call('UNLINK', KEYS[place])
  if redis.call('EXISTS', KEYS[place + 1]) == 1 then redis.call('RENAME', KEYS[place + 1], KEYS[place]) end
end
redis.call('HSET', projection, 'live', next)
redis.call('HDEL', projection, 'next')
redis.call('HINCRBY', projection, 'epoch', 1)
return { 'written' }
