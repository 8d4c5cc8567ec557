-- The framework's tables, version 2.

ALTER TABLE potter_commands ADD COLUMN causation_id TEXT COLLATE "C"; -- what caused the command, if that was said

-- Claims of the effects that other modules' events have had.
ALTER TABLE potter_idempotency
  ADD COLUMN subscription   TEXT COLLATE "C", -- which brought the event; absent: a caller's claim
  ADD COLUMN source_stream  TEXT COLLATE "C", -- the event's stream
  ADD COLUMN source_version BIGINT;           -- its place in there; 0: unknown
-- They are kept for other times than callers' claims, so they are found apart.
DROP INDEX potter_idempotency_age;
CREATE INDEX potter_idempotency_callers ON potter_idempotency USING brin (claimed_at) WHERE subscription IS NULL;
CREATE INDEX potter_idempotency_events ON potter_idempotency USING brin (claimed_at) WHERE subscription IS NOT NULL;

CREATE TABLE potter_processed_events ( -- how far the streams of other modules have been processed; kept for ever
  subscription TEXT   COLLATE "C" NOT NULL,
  stream       TEXT   COLLATE "C" NOT NULL,
  version      BIGINT NOT NULL, -- every event up to it has had its effects, whose claims may have been forgotten
  PRIMARY KEY (subscription, stream)
);

-- Takes the place of the function of version 1, which has fewer parameters and stays for processes that are still
-- running while a service is updated.
CREATE FUNCTION potter_commit(
  batch uuid, contended boolean,
  units integer[], counts integer[], aggregates text[], aggregate_ids text[], versions bigint[], ids uuid[],
  types text[], schema_versions integer[], payloads bytea[], correlation_ids text[], causation_ids text[],
  actors text[], times bigint[],
  claim_units integer[], claim_commands text[], claim_callers text[], claim_keys text[], claim_hashes bytea[],
  claim_replies bytea[], claim_aggregate_ids text[], claim_versions bigint[], claim_command_ids uuid[],
  claim_times bigint[], claim_subscriptions text[], claim_streams text[], claim_stream_versions bigint[],
  accepted_units integer[], accepted_ids uuid[], accepted_names text[], accepted_aggregates text[],
  accepted_aggregate_ids text[], accepted_requests bytea[], accepted_versions bigint[], accepted_correlation_ids text[],
  accepted_causation_ids text[], accepted_actors text[], accepted_times bigint[], accepting_node uuid,
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
      (command, caller, key, request_hash, reply, aggregate_id, version, command_id, claimed_at, subscription,
       source_stream, source_version)
    SELECT c.command, c.caller, c.key, c.request_hash, c.reply, c.aggregate_id, c.version, c.command_id, c.claimed_at,
           c.subscription, c.source_stream, c.source_version
    FROM (SELECT unnest(claim_units) AS unit, unnest(claim_commands) AS command, unnest(claim_callers) AS caller,
                 unnest(claim_keys) AS key, unnest(claim_hashes) AS request_hash, unnest(claim_replies) AS reply,
                 unnest(claim_aggregate_ids) AS aggregate_id, unnest(claim_versions) AS version,
                 unnest(claim_command_ids) AS command_id, unnest(claim_times) AS claimed_at,
                 unnest(claim_subscriptions) AS subscription, unnest(claim_streams) AS source_stream,
                 unnest(claim_stream_versions) AS source_version) c
    WHERE refused IS NULL OR c.unit <> ALL (refused);
  END IF;
  IF cardinality(accepted_units) > 0 THEN
    INSERT INTO potter_commands
      (id, name, aggregate, aggregate_id, request, expected_version, correlation_id, causation_id, actor, accepted_at, node)
    SELECT a.id, a.name, a.aggregate, a.aggregate_id, a.request, a.expected_version, a.correlation_id,
           a.causation_id, a.actor, a.accepted_at, accepting_node
    FROM (SELECT unnest(accepted_units) AS unit, unnest(accepted_ids) AS id, unnest(accepted_names) AS name,
                 unnest(accepted_aggregates) AS aggregate, unnest(accepted_aggregate_ids) AS aggregate_id,
                 unnest(accepted_requests) AS request, unnest(accepted_versions) AS expected_version,
                 unnest(accepted_correlation_ids) AS correlation_id,
                 unnest(accepted_causation_ids) AS causation_id, unnest(accepted_actors) AS actor,
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
