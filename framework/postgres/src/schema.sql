-- The framework's tables, version 1. Read models are beside them, made by the service's own migrations.
-- Times are nanoseconds since 1970-01-01 UTC; ids are UUIDv7; payloads are protobuf. Texts compare byte by byte. As
-- PostgreSQL's texts cannot hold U+0000, it is stored as U+0001 U+0002, and U+0001 as U+0001 U+0003: that keeps order
-- and equality.

CREATE TABLE potter_events ( -- the event log; nothing in it is ever changed or removed
  position       BIGINT  NOT NULL PRIMARY KEY, -- place in the log: from 1, without a gap, in the order of the commits
  version        BIGINT  NOT NULL,             -- place in the stream: from 1, without a gap
  recorded_at    BIGINT  NOT NULL,
  schema_version INTEGER NOT NULL,             -- version of the payload's shape
  id             UUID    NOT NULL,             -- the event's id; consumers deduplicate by it
  aggregate      TEXT    COLLATE "C" NOT NULL, -- kind of the aggregate; the stream is aggregate || '-' || aggregate_id
  aggregate_id   TEXT    COLLATE "C" NOT NULL, -- identity of the aggregate within its kind
  type           TEXT    COLLATE "C" NOT NULL, -- stable type name
  correlation_id TEXT    COLLATE "C" NOT NULL, -- ties together everything that follows from one request
  causation_id   TEXT    COLLATE "C" NOT NULL, -- the command
  actor          TEXT    COLLATE "C",          -- who, if that is known
  payload        BYTEA   NOT NULL              -- the event
);
CREATE UNIQUE INDEX potter_events_stream ON potter_events (aggregate_id, aggregate, version); -- ids differ early, kinds seldom

CREATE TABLE potter_snapshots ( -- the latest snapshot of each stream; may be emptied at any time
  aggregate    TEXT    COLLATE "C" NOT NULL,
  aggregate_id TEXT    COLLATE "C" NOT NULL,
  schema       TEXT    COLLATE "C" NOT NULL, -- shape of the state; a snapshot of another shape is not read
  version      BIGINT  NOT NULL,             -- version of the stream that it holds
  ended        BOOLEAN NOT NULL,             -- whether the aggregate's life had ended
  state        BYTEA   NOT NULL,
  PRIMARY KEY (aggregate_id, aggregate)
);

CREATE TABLE potter_idempotency ( -- replies by idempotency key, kept for IDEMPOTENCY_KEPT_HOURS; since version 2 also effects of
  -- other modules' events, kept for PROCESSED_EVENTS_KEPT_DAYS: after that potter_processed_events knows them
  command      TEXT   COLLATE "C" NOT NULL, -- stable name of the command
  caller       TEXT   COLLATE "C" NOT NULL, -- empty when unknown
  key          TEXT   COLLATE "C" NOT NULL,
  request_hash BYTEA  NOT NULL,             -- SHA-256; another request under the same key is refused
  reply        BYTEA  NOT NULL,
  aggregate_id TEXT   COLLATE "C" NOT NULL,
  version      BIGINT NOT NULL,
  command_id   UUID,                        -- of an accepted command
  claimed_at   BIGINT NOT NULL,
  PRIMARY KEY (key, caller, command)
);
CREATE INDEX potter_idempotency_age ON potter_idempotency USING brin (claimed_at); -- they come in the order of time

CREATE TABLE potter_commands ( -- asynchronous commands; kept for 7 days once they have an outcome
  id                UUID    NOT NULL PRIMARY KEY,
  name              TEXT    COLLATE "C" NOT NULL, -- stable name of the command
  aggregate         TEXT    COLLATE "C" NOT NULL,
  aggregate_id      TEXT    COLLATE "C" NOT NULL,
  request           BYTEA   NOT NULL,
  expected_version  BIGINT,                       -- if the caller gave one
  correlation_id    TEXT    COLLATE "C" NOT NULL,
  actor             TEXT    COLLATE "C",
  accepted_at       BIGINT  NOT NULL,
  node              UUID,                         -- who looks after it; see potter_nodes
  outcome           TEXT,                         -- 'succeeded', 'failed'; absent while the command waits or runs
  outcome_version   BIGINT,                       -- succeeded: version of the stream afterwards
  outcome_code      TEXT    COLLATE "C",          -- failed: stable code
  outcome_message   TEXT    COLLATE "C",          -- failed: for people
  outcome_retryable BOOLEAN,                      -- failed: whether sending it again may help
  outcome_events    BYTEA,                        -- what was recorded, or the error event
  settled_at        BIGINT,
  announced         BOOLEAN NOT NULL DEFAULT false -- whether the outcome has been told over the broker
);
CREATE INDEX potter_commands_pending ON potter_commands (id) WHERE outcome IS NULL;
CREATE INDEX potter_commands_unannounced ON potter_commands (id) WHERE outcome IS NOT NULL AND NOT announced;

CREATE TABLE potter_dead_letters ( -- messages that could not be taken in; kept until they are replayed or discarded
  id         UUID   NOT NULL PRIMARY KEY,
  source     TEXT   COLLATE "C" NOT NULL, -- who could not take it in: a subscription, 'commands'
  key        TEXT   COLLATE "C" NOT NULL, -- the stream that waits behind it; empty: none
  message_id TEXT   COLLATE "C" NOT NULL,
  reason     TEXT   COLLATE "C" NOT NULL,
  parked_at  BIGINT NOT NULL,
  message    BYTEA  NOT NULL,             -- subject, headers, payload, what was tried
  UNIQUE (source, message_id)
);
CREATE INDEX potter_dead_letters_key ON potter_dead_letters (source, key, id);

CREATE TABLE potter_nodes ( -- processes that execute commands
  id      UUID        NOT NULL PRIMARY KEY,
  seen_at TIMESTAMPTZ NOT NULL -- who hasn't been seen for 5 seconds loses what it looks after
);

CREATE TABLE potter_checkpoints ( -- how far each projection is
  projection TEXT    COLLATE "C" NOT NULL,
  generation TEXT    NOT NULL,               -- 'live', 'next' (a rebuild that goes on)
  position   BIGINT  NOT NULL,               -- of the last event that it has taken in
  epoch      BIGINT  NOT NULL DEFAULT 0,     -- live: how often it has been replaced or emptied
  paused     BOOLEAN NOT NULL DEFAULT false, -- live: whether nothing of it may be written
  PRIMARY KEY (projection, generation)
) WITH (fillfactor = 50);

CREATE TABLE potter_projection_failures ( -- dead letters: events that a projection has set aside
  projection TEXT   COLLATE "C" NOT NULL,
  generation TEXT   NOT NULL,
  position   BIGINT NOT NULL,             -- of the event
  row_key    TEXT   COLLATE "C" NOT NULL, -- the row that waits for it; later events about that row are set aside as well
  event_type TEXT   COLLATE "C" NOT NULL,
  reason     TEXT   COLLATE "C" NOT NULL,
  parked_at  BIGINT NOT NULL,
  PRIMARY KEY (projection, generation, position)
);

CREATE TABLE potter_receipts ( -- transactions of the writers, so that one whose connection broke can find out; kept for an hour
  batch      UUID   NOT NULL PRIMARY KEY, -- who asks for one that isn't there puts it there, and then it never can be
  head       BIGINT,                      -- position of the last event before it; absent: it was called off
  refused    INTEGER[],                   -- units that were not written
  written_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX potter_receipts_age ON potter_receipts USING brin (written_at);

CREATE TABLE potter_migrations ( -- the service's own migrations that have been applied
  number     BIGINT GENERATED ALWAYS AS IDENTITY,
  name       TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
  hash       TEXT   NOT NULL, -- SHA-256 of the text, hexadecimal
  applied_at BIGINT NOT NULL
);

-- Whether a text contains another, whatever the case: with the rules of Unicode if the server knows them, which is
-- nearly always so, else with those of the database's locale.
DO $$
BEGIN
  EXECUTE format(
    'CREATE FUNCTION potter_contains(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
     AS ''SELECT strpos(lower($1%1$s) COLLATE "C", lower($2%1$s) COLLATE "C") > 0''',
    CASE WHEN EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu') THEN ' COLLATE "und-x-icu"'
         ELSE ' COLLATE "default"' END
  );
END
$$;

-- Who holds this is the only one to write to the log until its transaction ends. A lock of this kind, rather than a
-- row, because the versions of a row pile up while a long transaction goes on anywhere.
CREATE FUNCTION potter_lock_log() RETURNS void LANGUAGE sql
AS $$ SELECT pg_advisory_xact_lock('potter_events'::regclass::oid::bigint::bit(32)::integer, 1) $$;

-- Writes a batch of units: one statement, one transaction, one round trip. The writer waits for nothing between the
-- lock and the commit, so a process that freezes never holds up the others.
--
-- Each event has its place in `units` to `times`; the first one of a unit says in `counts` how many there are, the
-- others 0. The same goes for claims, accepted commands and outcomes, each with the number of its unit. No two units
-- have the same claim or command. `contended` says whether some have the same stream; the first then goes ahead.
--
-- Answers with the head before, and the units that were not written: the claim is taken, the command settled, or the
-- stream has another version, which is in `actual`.
CREATE FUNCTION potter_commit(
  batch uuid, contended boolean,
  units integer[], counts integer[], aggregates text[], aggregate_ids text[], versions bigint[], ids uuid[],
  types text[], schema_versions integer[], payloads bytea[], correlation_ids text[], causation_ids text[],
  actors text[], times bigint[],
  claim_units integer[], claim_commands text[], claim_callers text[], claim_keys text[], claim_hashes bytea[],
  claim_replies bytea[], claim_aggregate_ids text[], claim_versions bigint[], claim_command_ids uuid[],
  claim_times bigint[],
  accepted_units integer[], accepted_ids uuid[], accepted_names text[], accepted_aggregates text[],
  accepted_aggregate_ids text[], accepted_requests bytea[], accepted_versions bigint[], accepted_correlation_ids text[],
  accepted_actors text[], accepted_times bigint[], accepting_node uuid,
  settled_units integer[], settled_ids uuid[], outcomes text[], outcome_versions bigint[], outcome_codes text[],
  outcome_messages text[], outcomes_retryable boolean[], outcomes_events bytea[], settled_times bigint[],
  OUT head bigint, OUT claimed integer[], OUT settled integer[], OUT conflicting integer[], OUT actual bigint[]
) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  refused integer[];
  written bigint := 0;
BEGIN
  PERFORM potter_lock_log();
  SELECT coalesce(max(position), 0) INTO head FROM potter_events;

  IF cardinality(claim_units) > 0 THEN
    SELECT array_agg(c.unit) INTO claimed
    FROM (SELECT unnest(claim_units) AS unit, unnest(claim_commands) AS command, unnest(claim_callers) AS caller,
                 unnest(claim_keys) AS key) c
    WHERE EXISTS (SELECT FROM potter_idempotency i
                  WHERE i.key = c.key AND i.caller = c.caller AND i.command = c.command);
  END IF;
  IF cardinality(settled_units) > 0 THEN
    SELECT array_agg(s.unit) INTO settled
    FROM (SELECT unnest(settled_units) AS unit, unnest(settled_ids) AS id) s
    WHERE NOT EXISTS (SELECT FROM potter_commands c WHERE c.id = s.id AND c.outcome IS NULL);
  END IF;
  refused := claimed || settled;
  IF cardinality(units) > 0 THEN
    SELECT array_agg(v.unit), array_agg(v.version) INTO conflicting, actual
    FROM (SELECT s.unit, s.expected,
                 coalesce((SELECT e.version FROM potter_events e
                           WHERE e.aggregate_id = s.aggregate_id AND e.aggregate = s.aggregate
                           ORDER BY e.version DESC LIMIT 1), 0) AS version
          FROM (SELECT unnest(units) AS unit, unnest(counts) AS count, unnest(aggregates) AS aggregate,
                       unnest(aggregate_ids) AS aggregate_id, unnest(versions) - 1 AS expected) s
          WHERE s.count > 0 OFFSET 0) v
    WHERE v.version <> v.expected;
    refused := refused || conflicting;
    IF contended THEN
      SELECT conflicting || array_agg(v.unit), actual || array_agg(v.version), refused || array_agg(v.unit)
      INTO conflicting, actual, refused
      FROM (SELECT s.unit, row_number() OVER stream AS place, s.expected + first_value(s.count) OVER stream AS version
            FROM (SELECT unnest(units) AS unit, unnest(counts) AS count, unnest(aggregates) AS aggregate,
                         unnest(aggregate_ids) AS aggregate_id, unnest(versions) - 1 AS expected) s
            WHERE s.count > 0 AND (refused IS NULL OR s.unit <> ALL (refused))
            WINDOW stream AS (PARTITION BY s.aggregate, s.aggregate_id ORDER BY s.unit)) v
      WHERE v.place > 1;
    END IF;

    -- The rows come in the order of the arrays, so that is the order in which they are numbered.
    INSERT INTO potter_events
      (position, version, recorded_at, schema_version, id, aggregate, aggregate_id, type, correlation_id, causation_id,
       actor, payload)
    SELECT head + row_number() OVER (), e.version, e.recorded_at, e.schema_version, e.id, e.aggregate, e.aggregate_id,
           e.type, e.correlation_id, e.causation_id, e.actor, e.payload
    FROM (SELECT unnest(units) AS unit, unnest(aggregates) AS aggregate, unnest(aggregate_ids) AS aggregate_id,
                 unnest(versions) AS version, unnest(ids) AS id, unnest(types) AS type,
                 unnest(schema_versions) AS schema_version, unnest(payloads) AS payload,
                 unnest(correlation_ids) AS correlation_id, unnest(causation_ids) AS causation_id,
                 unnest(actors) AS actor, unnest(times) AS recorded_at) e
    WHERE refused IS NULL OR e.unit <> ALL (refused);
    GET DIAGNOSTICS written = ROW_COUNT;
  END IF;

  IF cardinality(claim_units) > 0 THEN
    INSERT INTO potter_idempotency
      (command, caller, key, request_hash, reply, aggregate_id, version, command_id, claimed_at)
    SELECT c.command, c.caller, c.key, c.request_hash, c.reply, c.aggregate_id, c.version, c.command_id, c.claimed_at
    FROM (SELECT unnest(claim_units) AS unit, unnest(claim_commands) AS command, unnest(claim_callers) AS caller,
                 unnest(claim_keys) AS key, unnest(claim_hashes) AS request_hash, unnest(claim_replies) AS reply,
                 unnest(claim_aggregate_ids) AS aggregate_id, unnest(claim_versions) AS version,
                 unnest(claim_command_ids) AS command_id, unnest(claim_times) AS claimed_at) c
    WHERE refused IS NULL OR c.unit <> ALL (refused);
  END IF;
  IF cardinality(accepted_units) > 0 THEN
    INSERT INTO potter_commands
      (id, name, aggregate, aggregate_id, request, expected_version, correlation_id, actor, accepted_at, node)
    SELECT a.id, a.name, a.aggregate, a.aggregate_id, a.request, a.expected_version, a.correlation_id, a.actor,
           a.accepted_at, accepting_node
    FROM (SELECT unnest(accepted_units) AS unit, unnest(accepted_ids) AS id, unnest(accepted_names) AS name,
                 unnest(accepted_aggregates) AS aggregate, unnest(accepted_aggregate_ids) AS aggregate_id,
                 unnest(accepted_requests) AS request, unnest(accepted_versions) AS expected_version,
                 unnest(accepted_correlation_ids) AS correlation_id, unnest(accepted_actors) AS actor,
                 unnest(accepted_times) AS accepted_at) a
    WHERE refused IS NULL OR a.unit <> ALL (refused);
  END IF;
  IF cardinality(settled_units) > 0 THEN
    UPDATE potter_commands c
    SET outcome = s.outcome, outcome_version = s.version, outcome_code = s.code, outcome_message = s.message,
        outcome_retryable = s.retryable, outcome_events = s.events, settled_at = s.settled_at
    FROM (SELECT unnest(settled_units) AS unit, unnest(settled_ids) AS id, unnest(outcomes) AS outcome,
                 unnest(outcome_versions) AS version, unnest(outcome_codes) AS code,
                 unnest(outcome_messages) AS message, unnest(outcomes_retryable) AS retryable,
                 unnest(outcomes_events) AS events, unnest(settled_times) AS settled_at) s
    WHERE c.id = s.id AND (refused IS NULL OR s.unit <> ALL (refused));
  END IF;

  INSERT INTO potter_receipts (batch, head, refused, written_at)
  VALUES (batch, head, refused, now());
  IF written > 0 THEN
    PERFORM pg_notify('potter_' || 'potter_events'::regclass::oid, (head + written)::text);
  END IF;
END
$$;

-- Finds out what became of a batch whose connection broke. If nothing has, nothing ever will: its receipt is taken.
CREATE FUNCTION potter_resolve(asked uuid, OUT head bigint, OUT refused integer[]) LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM potter_lock_log();
  INSERT INTO potter_receipts (batch, written_at) VALUES (asked, now()) ON CONFLICT (batch) DO NOTHING;
  SELECT r.head, r.refused INTO head, refused FROM potter_receipts r WHERE r.batch = asked;
END
$$;

-- Gives a node the commands that nobody alive looks after.
CREATE FUNCTION potter_adopt(adopter uuid, lives_for interval) RETURNS SETOF potter_commands LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM pg_advisory_xact_lock('potter_nodes'::regclass::oid::bigint::bit(32)::integer, 1);
  INSERT INTO potter_nodes VALUES (adopter, clock_timestamp())
  ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp();
  DELETE FROM potter_nodes WHERE seen_at < clock_timestamp() - 100 * lives_for;
  RETURN QUERY
  UPDATE potter_commands c SET node = adopter
  WHERE c.outcome IS NULL
    AND NOT EXISTS (SELECT FROM potter_nodes n WHERE n.id = c.node AND n.seen_at >= clock_timestamp() - lives_for)
  RETURNING c.*;
END
$$;
