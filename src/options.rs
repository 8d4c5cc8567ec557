//! Options: what the annotations on an element say, typed.
//!
//! In: a descriptor. Out: plain structs, empty where nothing was said. Options are read by name from dynamic
//! messages, so that an older copy of `options.proto`, with fewer fields, reads as well. Nothing is judged here:
//! that is the model's.

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor, ReflectMessage,
    ServiceDescriptor, Value,
};

/// `(potter.service)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceOptions {
    /// Names the module.
    pub module_name: String,
    /// As written.
    pub transport: Vec<String>,
    /// Whether OpenAPI is switched on or off; `None` if nothing is said.
    pub enable_openapi: Option<bool>,
    /// As written.
    pub openapi_version: String,
    /// The `info` object.
    pub openapi_info: Option<OpenApiInfo>,
    /// What it wants to hear of other modules.
    pub subscribes: Vec<Subscription>,
}

/// `potter.Subscription`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The other module.
    pub module: String,
    /// Names of messages, or event types.
    pub events: Vec<String>,
    /// Stable name; empty: the other module's.
    pub name: String,
}

/// `potter.OpenAPIInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenApiInfo {
    /// Title of the API.
    pub title: String,
    /// Version of the API.
    pub version: String,
    /// Text about the API.
    pub description: String,
    /// Address of the terms.
    pub terms_of_service: String,
    /// Name, url, email.
    pub contact: [String; 3],
    /// Name, url.
    pub license: [String; 2],
}

/// `(potter.command)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandOptions {
    /// Name of the aggregate.
    pub aggregate: String,
    /// Executed by a worker.
    pub is_async: bool,
    /// Deduplicated.
    pub idempotent: bool,
    /// Deadline; 0 is none.
    pub timeout_seconds: i32,
    /// Documentation.
    pub docs: DocOptions,
    /// Names of events.
    pub emits: Vec<String>,
    /// Names of error events.
    pub fails_with: Vec<String>,
    /// Whether it creates; `None` if nothing is said.
    pub creates: Option<bool>,
    /// Stable name.
    pub id: String,
    /// Previous name of the rpc.
    pub renamed_from: String,
}

/// `(potter.query)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryOptions {
    /// Results are cached.
    pub cacheable: bool,
    /// Lifetime of a result; 0 is until the read model changes.
    pub cache_ttl_seconds: i32,
    /// Name of the read model.
    pub read_model: String,
    /// Documentation.
    pub docs: DocOptions,
}

/// What commands and queries say for their documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocOptions {
    /// OpenAPI tags.
    pub tags: Vec<String>,
    /// One line.
    pub summary: String,
    /// More.
    pub description: String,
    /// By Potter's option; protobuf's own is apart.
    pub deprecated: bool,
}

/// `(potter.event)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventOptions {
    /// Stored type name.
    pub event_type: String,
    /// Name of the aggregate.
    pub aggregate: String,
    /// Schema version; 0 means 1.
    pub version: i32,
    /// Not published.
    pub internal: bool,
    /// No longer emitted.
    pub retired: bool,
}

/// `(potter.aggregate)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AggregateOptions {
    /// Its name; empty: the message's.
    pub name: String,
    /// As written.
    pub repository: String,
    /// A snapshot after that many events; 0 is never.
    pub snapshot_every: i32,
}

/// `(potter.error_event)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorEventOptions {
    /// Stable code.
    pub error_code: String,
    /// Trying again may help.
    pub retryable: bool,
}

/// `(potter.read_model)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadModelOptions {
    /// Name of the table.
    pub name: String,
    /// Names of events.
    pub events: Vec<String>,
    /// Where its rows are kept.
    pub store: String,
}

/// `(potter.field)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldOptions {
    /// The field carries the identity.
    pub id: bool,
    /// Index in the read model.
    pub index: bool,
    /// Unique in the read model.
    pub unique: bool,
    /// Default on creation, in canonical proto3 JSON.
    pub default_value: String,
    /// Subject to encryption.
    pub personal_data: bool,
}

/// `(google.api.http)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRule {
    /// Method and path; `None` if the rule has neither.
    pub pattern: Option<(String, String)>,
    /// `*`, a field, or nothing.
    pub body: String,
    /// A field of the reply, or nothing.
    pub response_body: String,
    /// More routes.
    pub additional_bindings: Vec<HttpRule>,
}

/// Reads `(potter.service)`.
pub fn service(service: &ServiceDescriptor) -> Option<ServiceOptions> {
    let it = Reader::extension(service.parent_pool(), &service.options(), "potter.service")?;
    Some(ServiceOptions {
        module_name: it.string("module_name"),
        transport: it.strings("transport"),
        enable_openapi: it.has("enable_openapi").then(|| it.bool("enable_openapi")),
        openapi_version: it.string("openapi_version"),
        openapi_info: it.message("openapi_info").map(|info| openapi_info(&info)),
        subscribes: it.messages("subscribes").iter().map(subscription).collect(),
    })
}

fn subscription(it: &Reader) -> Subscription {
    Subscription { module: it.string("module"), events: it.strings("events"), name: it.string("name") }
}

fn openapi_info(it: &Reader) -> OpenApiInfo {
    let contact = it.message("contact").unwrap_or_default();
    let license = it.message("license").unwrap_or_default();
    OpenApiInfo {
        title: it.string("title"),
        version: it.string("version"),
        description: it.string("description"),
        terms_of_service: it.string("terms_of_service"),
        contact: ["name", "url", "email"].map(|field| contact.string(field)),
        license: ["name", "url"].map(|field| license.string(field)),
    }
}

/// Reads `(potter.command)`.
pub fn command(method: &MethodDescriptor) -> Option<CommandOptions> {
    let it = Reader::extension(method.parent_pool(), &method.options(), "potter.command")?;
    Some(CommandOptions {
        aggregate: it.string("aggregate"),
        is_async: it.bool("async"),
        idempotent: it.bool("idempotent"),
        timeout_seconds: it.int("timeout_seconds"),
        docs: docs(&it),
        emits: it.strings("emits"),
        fails_with: it.strings("fails_with"),
        creates: it.has("creates").then(|| it.bool("creates")),
        id: it.string("id"),
        renamed_from: it.string("renamed_from"),
    })
}

/// Reads `(potter.query)`.
pub fn query(method: &MethodDescriptor) -> Option<QueryOptions> {
    let it = Reader::extension(method.parent_pool(), &method.options(), "potter.query")?;
    Some(QueryOptions {
        cacheable: it.bool("cacheable"),
        cache_ttl_seconds: it.int("cache_ttl_seconds"),
        read_model: it.string("read_model"),
        docs: docs(&it),
    })
}

fn docs(it: &Reader) -> DocOptions {
    DocOptions {
        tags: it.strings("tags"),
        summary: it.string("summary"),
        description: it.string("description"),
        deprecated: it.bool("deprecated"),
    }
}

/// Reads `(potter.event)`.
pub fn event(message: &MessageDescriptor) -> Option<EventOptions> {
    message.descriptor_proto().options.as_ref()?;
    let it = Reader::extension(message.parent_pool(), &message.options(), "potter.event")?;
    Some(EventOptions {
        event_type: it.string("event_type"),
        aggregate: it.string("aggregate"),
        version: it.int("version"),
        internal: it.bool("internal"),
        retired: it.bool("retired"),
    })
}

/// Reads `(potter.aggregate)`.
pub fn aggregate(message: &MessageDescriptor) -> Option<AggregateOptions> {
    message.descriptor_proto().options.as_ref()?;
    let it = Reader::extension(message.parent_pool(), &message.options(), "potter.aggregate")?;
    Some(AggregateOptions {
        name: it.string("name"),
        repository: it.string("repository"),
        snapshot_every: it.int("snapshot_every"),
    })
}

/// Whether the message has `(potter.value_object)`.
pub fn is_value_object(message: &MessageDescriptor) -> bool {
    Reader::extension(message.parent_pool(), &message.options(), "potter.value_object").is_some()
}

/// Whether the message has `(potter.saga)`.
pub fn is_saga(message: &MessageDescriptor) -> bool {
    Reader::extension(message.parent_pool(), &message.options(), "potter.saga").is_some()
}

/// Reads `(potter.error_event)`.
pub fn error_event(message: &MessageDescriptor) -> Option<ErrorEventOptions> {
    message.descriptor_proto().options.as_ref()?;
    let it = Reader::extension(message.parent_pool(), &message.options(), "potter.error_event")?;
    Some(ErrorEventOptions { error_code: it.string("error_code"), retryable: it.bool("retryable") })
}

/// Reads `(potter.read_model)`.
pub fn read_model(message: &MessageDescriptor) -> Option<ReadModelOptions> {
    message.descriptor_proto().options.as_ref()?;
    let it = Reader::extension(message.parent_pool(), &message.options(), "potter.read_model")?;
    Some(ReadModelOptions { name: it.string("name"), events: it.strings("events"), store: it.string("store") })
}

/// Reads `(potter.field)`.
pub fn field(field: &FieldDescriptor) -> Option<FieldOptions> {
    // Most fields have no options, and reading them asks for a message to decode into.
    field.field_descriptor_proto().options.as_ref()?;
    let it = Reader::extension(field.parent_message().parent_pool(), &field.options(), "potter.field")?;
    Some(FieldOptions {
        id: it.bool("id"),
        index: it.bool("index"),
        unique: it.bool("unique"),
        default_value: it.string("default_value"),
        personal_data: it.bool("personal_data"),
    })
}

/// Reads `(google.api.http)`.
pub fn http(method: &MethodDescriptor) -> Option<HttpRule> {
    Reader::extension(method.parent_pool(), &method.options(), "google.api.http").map(|it| http_rule(&it))
}

fn http_rule(it: &Reader) -> HttpRule {
    let plain = ["get", "put", "post", "delete", "patch"]
        .into_iter()
        .find(|method| it.has(method))
        .map(|method| (method.to_uppercase(), it.string(method)));
    let custom = it.message("custom").map(|custom| (custom.string("kind"), custom.string("path")));
    HttpRule {
        pattern: plain.or(custom),
        body: it.string("body"),
        response_body: it.string("response_body"),
        additional_bindings: it.messages("additional_bindings").iter().map(http_rule).collect(),
    }
}

/// Whether protobuf's own `deprecated` is set.
pub fn is_deprecated(options: &DynamicMessage) -> bool {
    Reader(Some(options.clone())).bool("deprecated")
}

/// The message of an option; a field that its descriptor doesn't have reads as its default.
#[derive(Default)]
struct Reader(Option<DynamicMessage>);

impl Reader {
    fn extension(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Option<Self> {
        let extension = pool.get_extension_by_name(name)?;
        let belongs = extension.containing_message() == options.descriptor();
        if !belongs || !options.has_extension(&extension) {
            return None;
        }
        options.get_extension(&extension).as_message().map(|it| Reader(Some(it.clone())))
    }

    fn value(&self, field: &str) -> Option<Value> {
        self.0.as_ref()?.get_field_by_name(field).map(|it| it.into_owned())
    }

    fn has(&self, field: &str) -> bool {
        self.0.as_ref().is_some_and(|it| it.has_field_by_name(field))
    }

    fn string(&self, field: &str) -> String {
        self.value(field).and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default()
    }

    fn strings(&self, field: &str) -> Vec<String> {
        let list = self.value(field).and_then(|it| it.as_list().map(<[Value]>::to_vec)).unwrap_or_default();
        list.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()
    }

    fn bool(&self, field: &str) -> bool {
        self.value(field).and_then(|it| it.as_bool()).unwrap_or_default()
    }

    fn int(&self, field: &str) -> i32 {
        self.value(field).and_then(|it| it.as_i32()).unwrap_or_default()
    }

    fn message(&self, field: &str) -> Option<Reader> {
        let present = self.has(field).then(|| self.value(field)).flatten()?;
        present.as_message().map(|it| Reader(Some(it.clone())))
    }

    fn messages(&self, field: &str) -> Vec<Reader> {
        let list = self.value(field).and_then(|it| it.as_list().map(<[Value]>::to_vec)).unwrap_or_default();
        list.iter().filter_map(|it| it.as_message().map(|it| Reader(Some(it.clone())))).collect()
    }
}
