-- Begins a rebuild: makes the next generation, empty or a copy of another.
-- KEYS: projection, then what the copied generation is kept in and what the next one is, by turns
-- ARGV: the generation to copy ('' for none), the checkpoint without one, what the rebuild begins with, the time
-- Answers with the number of the rebuild; with nothing if the generation isn't there.
local projection, from, checkpoint = KEYS[1], ARGV[1], ARGV[2]
if from ~= '' then
  checkpoint = redis.call('HGET', projection, from)
  if not checkpoint then
    if from ~= 'live' then return false end
    checkpoint = '0'
  end
end
for place = 2, #KEYS, 2 do
  redis.call('UNLINK', KEYS[place + 1])
  if from ~= '' then redis.call('COPY', KEYS[place], KEYS[place + 1]) end
end
redis.call('HDEL', projection, 'rebuild:ended_at', 'rebuild:failure')
redis.call('HSET', projection, 'next', checkpoint, 'rebuild:begins_with', ARGV[3], 'rebuild:begun_at', ARGV[4])
return redis.call('HINCRBY', projection, 'rebuild:number', 1)
