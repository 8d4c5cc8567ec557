//! The codes of diagnostics.
//!
//! A code is never given a second meaning; a retired one is left out. Each has a page in `docs/diagnostics`.

use std::{fmt, str::FromStr};

use super::{Severity, nearest};

/// Declares the codes: variant, code, severity, title.
macro_rules! codes {
    ($($variant:ident $code:literal $severity:ident $title:literal;)*) => {
        /// The code of a diagnostic.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = concat!($code, ": ", $title, ".")] $variant,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as written, such as `P012`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            /// What it means, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self { $(Code::$variant => Severity::$severity,)* }
            }

            /// The page that explains it, in Markdown.
            pub fn page(self) -> &'static str {
                match self {
                    $(Code::$variant => include_str!(concat!("../../docs/diagnostics/", $code, ".md")),)*
                }
            }
        }
    };
}

codes! {
    SyntaxError "P001" Error "proto syntax error";
    ImportNotFound "P002" Error "import not found";
    EditionNotSupported "P003" Error "edition not yet supported";
    FileNotFound "P004" Error "proto file cannot be read";
    ImportCycle "P005" Error "import cycle or repeated import";
    InvalidDefinition "P006" Error "definition breaks a protobuf rule";
    InvalidOption "P007" Error "unknown option or option value";
    MalformedDescriptors "P008" Error "descriptors cannot be decoded";
    UnknownParameter "P009" Error "invalid plugin parameter";

    NoService "P010" Error "no (potter.service)";
    ModuleNameMissing "P011" Error "module has no name, or several";
    UnknownAggregate "P012" Error "unknown aggregate";
    InvalidModuleName "P013" Error "invalid module name";
    ServiceIgnored "P014" Warning "service without (potter.service)";
    RpcWithoutRole "P015" Error "rpc is neither command nor query";
    RpcWithTwoRoles "P016" Error "rpc is both command and query";
    StreamingNotServed "P017" Error "streaming rpc that cannot be served";
    UnknownTransport "P018" Error "unknown transport";
    TransportNotServed "P019" Warning "transport not served by this version";
    OpenApiWithoutEffect "P020" Warning "OpenAPI settings without effect";
    InvalidOpenApiVersion "P021" Error "unknown OpenAPI version";
    ServicesDisagree "P022" Warning "services of one module disagree";
    PartOfModule "P023" Error "only a part of the module is given";
    UnknownSubscribedEvent "P024" Error "subscription to an unknown event";
    InternalEventSubscribed "P025" Error "subscription to an internal event";
    OwnEventSubscribed "P026" Error "subscription to an own event";
    SubscriptionWithoutBroker "P027" Error "subscription without a broker";
    InvalidSubscription "P028" Error "subscription incomplete or repeated";
    RetiredEventSubscribed "P029" Warning "subscription to a retired event";

    NegativeNumber "P030" Error "number must not be negative";
    TtlWithoutCache "P031" Error "cache_ttl_seconds without cacheable";
    UnknownEvent "P032" Error "unknown event";
    UnknownErrorEvent "P033" Error "unknown error event";
    DuplicateCommandId "P034" Error "command id used twice";
    InvalidCommandId "P035" Error "invalid command id";
    IdFieldMissing "P036" Error "id field missing";
    IdFieldType "P037" Error "id field is not a string";
    SeveralIdFields "P038" Error "several id fields";
    EventNotEmittable "P039" Error "event cannot be emitted here";
    UnknownReadModel "P040" Error "unknown read model";
    QueryWithoutReadModel "P041" Warning "query without a read model";
    RenamedFromExists "P042" Error "renamed_from names an rpc that still exists";
    CommandIdQualified "P043" Warning "several commands have one name";
    FilterFitsNothing "P044" Warning "field of a list query that fits no column";
    RenamedFromUnknown "P045" Warning "renamed_from names an rpc that never was";

    DuplicateEventType "P050" Error "event_type used twice";
    EventWithoutAggregate "P051" Error "event without aggregate";
    EventWithoutType "P052" Warning "event without event_type";
    MessageWithTwoRoles "P053" Error "message has two roles";
    DuplicateAggregate "P054" Error "aggregate name used twice";
    UnknownRepository "P055" Error "unknown repository";
    RepositoryNotServed "P056" Warning "repository not served by default";
    DuplicateErrorCode "P057" Error "error_code used twice";
    ErrorWithoutCode "P058" Warning "error event without error_code";
    InvalidName "P059" Error "name cannot be used";

    DuplicateReadModel "P060" Error "read model name used twice";
    FieldNotIndexable "P061" Error "field cannot be indexed";
    IndexWithoutReadModel "P062" Warning "index or unique outside a read model";
    InvalidDefaultValue "P063" Error "invalid default_value";
    FieldOptionWithoutEffect "P064" Warning "field option without effect here";
    OptionWithoutEffect "P065" Warning "option without effect";
    UnenforceableRule "P066" Error "rule of buf.validate that cannot be enforced";
    UnknownReadModelStore "P067" Error "unknown store of a read model";

    InvalidPath "P070" Error "invalid path in google.api.http";
    UnknownHttpField "P071" Error "google.api.http names an unknown field";
    HttpFieldType "P072" Error "field cannot stand in a path or body";
    RouteConflict "P073" Error "two rpcs on one route";
    InvalidHttpRule "P074" Error "invalid google.api.http rule";

    CommandWithoutEffect "P080" Warning "command without effect";
    EventNeverRecorded "P081" Warning "event that no command records";
    ReadModelWithoutEvents "P082" Warning "read model without events";
    ErrorNeverUsed "P083" Warning "error event that no command fails with";
    PersonalDataPublished "P084" Warning "personal data in a published event";
    MissingDocs "P085" Warning "elements without a comment";

    EventFieldRemoved "P200" Error "field of a recorded event removed";
    EventFieldRetyped "P201" Error "field of a recorded event retyped";
    EventNumberReused "P202" Error "number of a recorded event used for something else";
    EventPresenceChanged "P203" Error "presence or default of a recorded event's field changed";
    EventOneofChanged "P204" Error "field of a recorded event moved into or out of a oneof";
    EventEnumValueRemoved "P205" Error "enum value of a recorded event removed";
    EventRemoved "P206" Error "recorded event removed";
    EventTypeChanged "P207" Error "event_type of a recorded event changed";
    EventMoved "P208" Error "recorded event moved to another aggregate";
    EventVersionLowered "P209" Error "version of a recorded event lowered";
    EventJsonChanged "P210" Error "JSON of a recorded event changed";
    ReservationRemoved "P211" Warning "reserved number or name of a recorded event released";
    PastUnknown "P212" Error "former versions of an event unknown";
    EventWithdrawn "P213" Error "published event became internal";
    EventPublished "P214" Warning "internal event is published now";
    PastUnseen "P215" Warning "events not held against what was recorded";

    CommandIdChanged "P220" Error "id of a command changed";
    AsyncFlipped "P221" Error "command became async, or ceased to be";
    IdempotencyDropped "P222" Error "command is no longer idempotent";
    RpcRoleChanged "P223" Error "command became a query, or a query a command";
    CommandMoved "P224" Error "command moved to another aggregate";
    CreatesFlipped "P225" Error "command creates, or ceased to";
    AcceptedUnreadable "P226" Error "accepted commands could no longer be executed";

    ContractWireBroken "P230" Warning "published contract broken on the wire";
    ContractJsonBroken "P231" Warning "published contract broken in JSON";
    ContractSourceBroken "P232" Warning "published contract broken in source";
    RouteRemoved "P233" Warning "REST route removed or changed";
    ErrorCodeRemoved "P234" Warning "error code removed or changed";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = UnknownCode;

    /// Reads a code in any case: `P012`, `p012`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Code::ALL
            .iter()
            .copied()
            .find(|code| code.as_str().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

/// There is no such code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCode(String);

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let near = nearest(&self.0, Code::ALL.iter().map(|it| it.as_str()));
        let help =
            near.map_or_else(|| "`potter-gen explain` lists all".to_owned(), |it| format!("did you mean `{it}`?"));
        write!(f, "unknown code `{}`; {help}", self.0)
    }
}

impl std::error::Error for UnknownCode {}
