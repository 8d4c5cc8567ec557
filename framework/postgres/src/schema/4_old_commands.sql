-- The framework's tables, version 4.

-- What is old enough to be forgotten: callers choose the ids of commands, and those say nothing of their age.
CREATE INDEX potter_commands_settled ON potter_commands (settled_at) WHERE settled_at IS NOT NULL;
