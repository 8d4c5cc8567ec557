use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    Config::from_lookup(|name| variables.get(name).map(|value| (*value).to_owned()))
}

fn problems(variables: &[(&str, &str)]) -> String {
    read(variables).expect_err("an invalid configuration").to_string()
}

#[test]
fn without_variables_the_listed_defaults_hold() {
    let explicit: Vec<_> = variables().map(|variable| (variable.name, variable.default)).collect();
    let defaults = read(&[]).expect("defaults");
    assert_eq!(format!("{defaults:?}"), format!("{:?}", read(&explicit).expect("the listed defaults")));
    assert_eq!(defaults.server_port, 8080);
    assert_eq!((&defaults.database_limits, defaults.retention), (&Limits::default(), Retention::default()));
    assert_eq!(defaults.database, Database::Sqlite("sqlite://data.db".to_owned()));
}

/// `docs/reference/configuration.md` has a row for each, in this order, and none for others.
#[test]
fn the_reference_lists_every_variable() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/configuration.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let listed: Vec<_> = page.lines().filter(|line| line.starts_with("| `") && line.ends_with(" |")).collect();
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    let row = |it: Variable| format!("| `{}` | {} | {} |", it.name, code(it.default), it.about);
    let expected: Vec<_> = variables().map(row).collect();
    assert_eq!(listed, expected, "the page should have these rows:\n{}", expected.join("\n"));
}

#[test]
fn each_part_has_limits_of_its_own() {
    let config = read(&[
        ("BROKER_TIMEOUT_MS", "70"),
        ("BROKER_ATTEMPTS", "7"),
        ("BROKER_BREAKER_OUTAGES", "8"),
        ("BROKER_BREAKER_MS", "90"),
        ("BROKER_CONCURRENCY", "10"),
        ("DATABASE_ATTEMPTS", "2"),
        ("PROCESSED_EVENTS_KEPT_DAYS", "60"),
        ("PROJECTION_BATCH", "50"),
        ("RETRY_DELAYS_MS", "5, 60"),
    ])
    .expect("valid");
    let broker = Limits {
        timeout: Duration::from_millis(70),
        attempts: 7,
        outages: 8,
        open_for: Duration::from_millis(90),
        concurrency: 10,
    };
    assert_eq!(config.broker_limits, broker);
    assert_eq!(config.database_limits, Limits { attempts: 2, ..Limits::default() });
    assert_eq!(config.projection_batch.map(NonZeroUsize::get), Some(50));
    assert_eq!(read(&[]).expect("valid").projection_batch, None, "the module says");
    for batch in ["0", "65537", "18446744073709551615", "many"] {
        let told = problems(&[("PROJECTION_BATCH", batch)]);
        assert!(told.contains(&format!("PROJECTION_BATCH={batch}: expected a number from 1 to 65536")), "{told}");
    }
    assert_eq!(config.retries, Some(Retries::new([5, 60].map(Duration::from_millis).into())));
    for delays in ["0", "1,,2", "1;2", "30001", "1,2,3,4,5,6,7,8,9,10,11"] {
        let told = problems(&[("RETRY_DELAYS_MS", delays)]);
        assert!(told.contains("expected up to 10 numbers from 1 to 30000 with commas between"), "{told}");
    }
    assert_eq!(config.retention.processed, Duration::from_secs(60 * 24 * 60 * 60));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let text = problems(&[("SERVER_PORT", "70000"), ("METRICS_ENABLED", "maybe"), ("LOG_FORMAT", "xml")]);
    assert_eq!(
        text,
        "the configuration is not valid\n  \
         SERVER_PORT=70000: expected a port number from 0 to 65535\n  \
         METRICS_ENABLED=maybe: expected true or false\n  \
         LOG_FORMAT=xml: expected text or json"
    );
}

#[test]
fn a_variable_set_to_nothing_is_not_set() {
    let config = read(&[("SERVER_PORT", ""), ("NATS_URL", " "), ("DATABASE_DSN", "")]).expect("valid");
    assert_eq!(config.server_port, 8080);
    assert_eq!(config.unused, [""; 0]);
}

#[test]
fn a_token_that_is_too_short_is_refused_and_none_is_shown() {
    let text = problems(&[("ADMIN_TOKEN", "hunter2")]);
    assert!(text.contains("ADMIN_TOKEN: expected 16 characters or more") && !text.contains("hunter2"), "{text}");
    let config = read(&[("ADMIN_TOKEN", "0123456789abcdef")]).expect("long enough");
    assert!(config.admin_token.is_some() && !format!("{config:?}").contains("0123456789abcdef"));
}

#[test]
fn variables_of_later_versions_are_named() {
    let config = read(&[("KAFKA_BROKERS", "localhost:9092"), ("AMQP_URL", "amqp://localhost")]).expect("valid");
    assert_eq!(config.unused, ["KAFKA_BROKERS", "AMQP_URL"]);
}

#[test]
fn the_broker_is_given_by_urls() {
    assert_eq!(read(&[]).expect("valid").nats_url, None);
    let config = read(&[("NATS_URL", "nats://a:4222, tls://b"), ("NATS_PAYLOAD", "JSON")]).expect("valid");
    assert_eq!((config.nats_url.as_deref(), config.nats_payload), (Some("nats://a:4222, tls://b"), Payload::Json));
    let text = problems(&[("NATS_URL", "localhost:4222"), ("NATS_PAYLOAD", "xml")]);
    assert!(text.contains("NATS_URL: expected URLs such as nats://host:4222"), "{text}");
    assert!(text.contains("NATS_PAYLOAD=xml: expected protobuf or json"), "{text}");
}

#[test]
fn a_store_that_this_version_lacks_is_refused_without_showing_the_password() {
    let text = problems(&[("DATABASE_DSN", "mysql://shop:hunter2@db/shop")]);
    assert!(text.contains("sqlite://data.db, or postgres://USER:PASSWORD@HOST/DATABASE"), "{text}");
    assert!(text.contains("mysql://…@db/shop"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_password_is_never_shown() {
    for dsn in ["postgres://shop:hunter2@db/shop?timeout=5", "postgres://db/shop?user=shop&password=hunter2"] {
        let config = read(&[("DATABASE_DSN", dsn)]).expect("valid");
        let (shown, debug) = (config.database.to_string(), format!("{config:?}"));
        assert!(!shown.contains("hunter2") && !debug.contains("hunter2"), "{shown} {debug}");
        let wrong = problems(&[("DATABASE_DSN", &format!("{dsn}&pool_size=0"))]);
        assert!(wrong.contains("pool_size is a number from 2 to 1000") && !wrong.contains("hunter2"), "{wrong}");
    }
}

#[test]
fn places_of_read_models_are_checked_and_their_passwords_not_shown() {
    let text = problems(&[
        ("READ_MODELS_STORE", "Orders=mysql"),
        ("READ_MODELS_DSN", "sqlite://hunter2.db"),
        ("REDIS_ADDR", "http://:hunter2@redis"),
    ]);
    assert!(text.contains("READ_MODELS_STORE=Orders=mysql: expected database, redis or postgres"), "{text}");
    assert!(text.contains("READ_MODELS_DSN: expected postgres://…"), "{text}");
    assert!(text.contains("REDIS_ADDR: expected HOST:6379 or redis://…") && !text.contains("hunter2"), "{text}");
    let config = read(&[("REDIS_ADDR", "redis://:hunter2@redis:6379/1")]).expect("valid");
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
}

#[test]
fn a_dsn_that_is_none_is_refused() {
    assert!(
        problems(&[("DATABASE_DSN", "data.db")]).contains("expected `sqlite://PATH`, `postgres://…` or `memory://`")
    );
    assert_eq!(read(&[("DATABASE_DSN", "memory://")]).expect("valid").database, Database::Memory);
}

#[test]
fn log_levels_are_words_or_filters() {
    assert_eq!(read(&[("LOG_LEVEL", "DEBUG")]).expect("valid").log_level, "DEBUG");
    assert_eq!(read(&[("LOG_LEVEL", "warning")]).expect("valid").log_level, "warn");
    assert!(read(&[("LOG_LEVEL", "info,potter_core=debug")]).is_ok());
    assert!(problems(&[("LOG_LEVEL", "verbose")]).contains("LOG_LEVEL=verbose"));
    assert!(problems(&[("LOG_LEVEL", "info,potter=loud")]).contains("LOG_LEVEL=info,potter=loud"));
}

#[test]
fn origins_have_no_path() {
    let config = read(&[("CORS_ALLOWED_ORIGINS", "https://a.example, http://localhost:3000")]).expect("valid");
    assert_eq!(config.cors_allowed_origins, ["https://a.example", "http://localhost:3000"]);
    assert!(problems(&[("CORS_ALLOWED_ORIGINS", "https://a.example/")]).contains("CORS_ALLOWED_ORIGINS"));
    assert!(problems(&[("CORS_ALLOWED_ORIGINS", "a.example")]).contains("CORS_ALLOWED_ORIGINS"));
}

#[test]
fn an_env_file_is_read_and_a_missing_one_is_empty() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(".env");
    assert_eq!(read_env_file(&path).expect("no file"), BTreeMap::new());
    std::fs::write(&path, "# ports\nSERVER_PORT=9000\nexport LOG_FORMAT=\"json\"\n").expect("written");
    let variables = read_env_file(&path).expect("a file");
    assert_eq!(variables["SERVER_PORT"], "9000");
    assert_eq!(variables["LOG_FORMAT"], "json");
}

#[test]
fn a_broken_env_file_is_named_without_its_values() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(".env");
    std::fs::write(&path, "TOKEN=\"my secret words\n").expect("written");
    let text = read_env_file(&path).expect_err("broken").to_string();
    assert!(text.contains(".env:1: the closing \" is missing"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}
