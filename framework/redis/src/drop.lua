-- Drops the next generation of the rebuild that goes on.
-- KEYS: projection, what the next generation is kept in
-- ARGV: the number of the rebuild, why it is dropped, the time
-- Answers whether it went on.
local projection = KEYS[1]
local number = redis.call('HGET', projection, 'rebuild:number') or '0'
if number ~= ARGV[1] or redis.call('HEXISTS', projection, 'rebuild:ended_at') == 1 then return false end

for place = 2, #KEYS do redis.call('UNLINK', KEYS[place]) end
redis.call('HDEL', projection, 'next')
-- Of one that a version without these fields has begun, nothing is known.
redis.call('HSETNX', projection, 'rebuild:number', number)
redis.call('HSETNX', projection, 'rebuild:begins_with', '{"after":0}')
redis.call('HSETNX', projection, 'rebuild:begun_at', ARGV[3])
redis.call('HSET', projection, 'rebuild:failure', ARGV[2], 'rebuild:ended_at', ARGV[3])
return true
