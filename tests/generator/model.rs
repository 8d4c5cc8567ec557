//! What the model makes of protos.

use base64::{Engine, engine::general_purpose::STANDARD};
use potter_gen::model::{
    Command, EventEffect, Module, OpenApiVersion, Query, QueryIntent, Repository, RouteBody, Rpc, RpcKind, Transport,
};
use prost_reflect::DescriptorPool;

use crate::protos::{build_texts, cases, module};

/// A proto with a head, a service of one aggregate, and what is given.
fn shop(rpcs: &str, rest: &str) -> Module {
    module(&format!(
        "syntax = \"proto3\";\npackage shop;\nimport \"potter/options.proto\";\nimport \"google/api/annotations.proto\";\n\
         service Shop {{\n  option (potter.service) = {{ module_name: \"shop\" }};\n{rpcs}\n}}\n{rest}"
    ))
}

fn rpc<'a>(module: &'a Module, name: &str) -> &'a Rpc {
    let mut rpcs = module.services.iter().flat_map(|it| &it.rpcs);
    rpcs.find(|it| it.descriptor.name() == name).unwrap_or_else(|| panic!("there is no rpc {name}"))
}

fn command<'a>(module: &'a Module, name: &str) -> &'a Command {
    match &rpc(module, name).kind {
        RpcKind::Command(command) => command,
        RpcKind::Query(_) => panic!("{name} is a query"),
    }
}

fn query<'a>(module: &'a Module, name: &str) -> &'a Query {
    match &rpc(module, name).kind {
        RpcKind::Query(query) => query,
        RpcKind::Command(_) => panic!("{name} is a command"),
    }
}

/// Names of the events that a command emits.
fn emits(module: &Module, name: &str) -> Vec<String> {
    command(module, name).emits.iter().map(|it| module.events[it.0].message.name().to_owned()).collect()
}

/// Name of the read model of a query.
fn reads(module: &Module, name: &str) -> Option<String> {
    query(module, name).read_model.map(|it| module.read_models[it.0].name.clone())
}

/// Method and path of an rpc's routes.
fn routes(module: &Module, name: &str) -> Vec<String> {
    rpc(module, name).routes.iter().map(|it| format!("{} {}", it.method, it.path)).collect()
}

fn case(path: &str) -> Module {
    module(&std::fs::read_to_string(cases("diagnostics").join(path)).expect("a case"))
}

#[test]
fn a_service_of_the_go_potter_is_understood() {
    let module = case("go_potter_product/product.proto");
    assert_eq!((module.name.as_str(), module.transports.as_slice()), ("product", [Transport::Rest].as_slice()));
    assert_eq!(module.openapi.as_ref().map(|it| it.version), Some(OpenApiVersion::V3_1));

    let create = command(&module, "CreateProduct");
    assert!(create.creates && create.is_async && create.idempotent && create.id_field.is_none());
    assert_eq!((create.id.as_str(), create.timeout_seconds), ("product.create_product", Some(30)));
    assert_eq!(emits(&module, "CreateProduct"), ["ProductCreatedEvent"]);
    assert_eq!(emits(&module, "UpdateProduct"), ["ProductUpdatedEvent"]);
    assert_eq!(emits(&module, "DeleteProduct"), ["ProductDeletedEvent"]);
    assert!(!command(&module, "DeleteProduct").creates);

    assert_eq!(reads(&module, "GetProduct").as_deref(), Some("ProductReadModel"));
    assert_eq!(reads(&module, "ListProducts").as_deref(), Some("ProductReadModel"));
    assert_eq!(query(&module, "GetProduct").intent, QueryIntent::Get);
    assert_eq!(query(&module, "ListProducts").intent, QueryIntent::List);
    assert_eq!(query(&module, "GetProduct").cache.and_then(|it| it.ttl_seconds), Some(300));

    let [model] = module.read_models.as_slice() else { panic!("there is one read model") };
    assert_eq!((model.table.as_str(), model.key.name(), model.events.len()), ("product_read_model", "id", 3));
    let columns: Vec<_> = model.columns.iter().map(|it| it.field.name().to_owned()).collect();
    assert_eq!(columns, ["name", "description", "price", "stock", "category", "created_at", "updated_at"]);

    let effects: Vec<_> = module.events.iter().map(|it| it.effect).collect();
    assert_eq!(effects, [EventEffect::Creates, EventEffect::Changes, EventEffect::Ends]);
    assert!(module.events.iter().all(|it| it.id_field.as_ref().is_some_and(|it| it.name() == "product_id")));
    assert_eq!(module.aggregates[0].repository, Repository::Postgres);
    assert_eq!(module.aggregates[0].errors.len(), 1);

    assert_eq!(routes(&module, "CreateProduct"), ["POST /api/v1/products"]);
    assert_eq!(routes(&module, "GetProduct"), ["GET /api/v1/products/{id}"]);
    assert_eq!(routes(&module, "ListProducts"), ["GET /api/v1/products"]);
    assert_eq!(routes(&module, "UpdateProduct"), ["PUT /api/v1/products/{id}"]);
    assert_eq!(routes(&module, "DeleteProduct"), ["DELETE /api/v1/products/{id}"]);
    assert_eq!(rpc(&module, "DeleteProduct").routes[0].body, RouteBody::None);
    assert_eq!(rpc(&module, "UpdateProduct").routes[0].body, RouteBody::All);
}

#[test]
fn a_command_without_an_event_of_its_own_emits_nothing() {
    let module = case("go_potter_item/item.proto");
    assert_eq!(emits(&module, "CreateItem"), ["ItemCreatedEvent"]);
    assert!(emits(&module, "UpdateItem").is_empty());
    // The reply is a flat copy of the aggregate.
    assert_eq!(query(&module, "GetItem").intent, QueryIntent::Get);
    assert_eq!(query(&module, "ListItems").intent, QueryIntent::List);
    assert_eq!(rpc(&module, "CreateItem").docs.summary, "Makes an item");
    assert_eq!(rpc(&module, "CreateItem").docs.tags, ["SimpleService"]);
}

#[test]
fn creates_is_what_is_said_or_what_create_means() {
    let rpcs = r#"
        rpc CreateProduct(New) returns (Reply) { option (potter.command) = { aggregate: "Product" }; }
        rpc CreateProductWithId(WithId) returns (Reply) { option (potter.command) = { aggregate: "Product" }; }
        rpc RegisterProduct(New) returns (Reply) { option (potter.command) = { aggregate: "Product" creates: true }; }
        rpc ImportProduct(WithId) returns (Reply) { option (potter.command) = { aggregate: "Product" creates: true }; }
        rpc CreateLabel(WithId) returns (Reply) { option (potter.command) = { aggregate: "Product" creates: false }; }
    "#;
    let module = shop(
        rpcs,
        r#"
        message Product { option (potter.aggregate) = {}; string id = 1; }
        message New { string name = 1; }
        message WithId { string product_id = 1; }
        message Reply {}
        message ProductImported { option (potter.event) = { event_type: "imported" aggregate: "Product" }; }
    "#,
    );
    let said = |name: &str| (command(&module, name).creates, command(&module, name).id_field.is_some());
    assert_eq!(said("CreateProduct"), (true, false));
    assert_eq!(said("CreateProductWithId"), (false, true));
    assert_eq!(said("RegisterProduct"), (true, false));
    assert_eq!(said("ImportProduct"), (true, true));
    assert_eq!(said("CreateLabel"), (false, true));
    // Only a command that creates emits it: so it creates.
    assert_eq!(module.events[0].effect, EventEffect::Creates);
    assert_eq!(routes(&module, "CreateProduct"), ["POST /api/v1/products"]);
    assert_eq!(routes(&module, "RegisterProduct"), ["POST /api/v1/products/register"]);
    assert_eq!(routes(&module, "ImportProduct"), ["POST /api/v1/products/import"]);
    assert_eq!(routes(&module, "CreateLabel"), ["POST /api/v1/products/{product_id}/create-label"]);
}

#[test]
fn identity_is_the_marked_field_else_id_else_that_of_the_aggregate() {
    let module = shop(
        r#"
        rpc Rename(ByMark) returns (Reply) { option (potter.command) = { aggregate: "Article" }; }
        rpc Retag(ById) returns (Reply) { option (potter.command) = { aggregate: "Article" }; }
        rpc Move(ByName) returns (Reply) { option (potter.command) = { aggregate: "Article" }; }
        rpc Drop(ByOwn) returns (Reply) { option (potter.command) = { aggregate: "Article" }; }
        rpc Keep(ByMessage) returns (Reply) { option (potter.command) = { aggregate: "Article" }; }
    "#,
        r#"
        message Product { option (potter.aggregate) = { name: "Article" }; string sku = 1 [(potter.field).id = true]; string id = 2; }
        message ByMark { string id = 1; string article_id = 2; optional string which = 3 [(potter.field).id = true]; }
        message ById { string article_id = 1; string id = 2; }
        message ByName { string product_id = 1; int32 id = 2; string article_id = 3; }
        message ByOwn { string sku = 1; }
        message ByMessage { string product_id = 1; }
        message Reply {}
    "#,
    );
    let id = |name: &str| command(&module, name).id_field.as_ref().map(|it| it.name().to_owned());
    assert_eq!(module.aggregates[0].id_field.name(), "sku");
    assert_eq!(id("Rename").as_deref(), Some("which"));
    assert_eq!(id("Retag").as_deref(), Some("id"));
    assert_eq!(id("Move").as_deref(), Some("article_id"));
    assert_eq!(id("Drop").as_deref(), Some("sku"));
    assert_eq!(id("Keep").as_deref(), Some("product_id"));
}

#[test]
fn events_are_told_among_those_of_the_aggregate_that_are_not_retired() {
    let module = shop(
        r#"
        rpc ShipOrder(ById) returns (Reply) { option (potter.command) = { aggregate: "Order" }; }
        rpc CancelOrder(ById) returns (Reply) { option (potter.command) = { aggregate: "Order" }; }
        rpc PayOrder(ById) returns (Reply) { option (potter.command) = { aggregate: "Order" emits: ["paid", "shop.OrderSettled"] }; }
    "#,
        r#"
        message Order { option (potter.aggregate) = { snapshot_every: 50 }; string id = 1; }
        message Parcel { option (potter.aggregate) = {}; string id = 1; }
        message OrderShipped { option (potter.event) = { event_type: "shipped" aggregate: "Order" internal: true version: 3 }; }
        message ParcelShipped { option (potter.event) = { event_type: "parcel.shipped" aggregate: "Parcel" }; }
        message OrderCanceled { option (potter.event) = { event_type: "canceled" aggregate: "Order" retired: true }; }
        message OrderCancelled { option (potter.event) = { event_type: "cancelled" aggregate: "Order" }; }
        message OrderPaid { option (potter.event) = { event_type: "paid" aggregate: "Order" }; }
        message OrderSettled { option (potter.event) = { event_type: "settled" aggregate: "Order" }; }
        message ById { string id = 1; }
        message Reply {}
    "#,
    );
    assert_eq!(emits(&module, "ShipOrder"), ["OrderShipped"]);
    assert_eq!(emits(&module, "CancelOrder"), ["OrderCancelled"]);
    assert_eq!(emits(&module, "PayOrder"), ["OrderPaid", "OrderSettled"]);
    assert!(module.events[0].internal && module.events[0].version == 3 && module.events[2].retired);
    assert_eq!(module.aggregates[0].events.len(), 5);
    assert_eq!(module.aggregates[0].snapshot_every, Some(50));
}

#[test]
fn error_events_belong_to_who_names_them_or_to_their_name_or_to_all() {
    let module = shop(
        r#"
        rpc ShipOrder(ById) returns (Reply) { option (potter.command) = { aggregate: "Order" fails_with: ["TooHeavy", "NO_STAMP"] }; }
    "#,
        r#"
        message Order { option (potter.aggregate) = {}; string id = 1; }
        message Parcel { option (potter.aggregate) = {}; string id = 1; }
        message TooHeavy { option (potter.error_event) = { error_code: "TOO_HEAVY" retryable: true }; }
        message NoStamp { option (potter.error_event) = { error_code: "NO_STAMP" }; }
        message ParcelLost { option (potter.error_event) = { error_code: "LOST" }; }
        message Closed { option (potter.error_event) = { error_code: "CLOSED" }; }
        message ById { string id = 1; }
        message Reply {}
    "#,
    );
    let codes = |at: usize| -> Vec<&str> {
        module.aggregates[at].errors.iter().map(|it| module.errors[it.0].code.as_str()).collect()
    };
    assert_eq!(codes(0), ["TOO_HEAVY", "NO_STAMP", "CLOSED"]);
    assert_eq!(codes(1), ["LOST", "CLOSED"]);
    assert_eq!(command(&module, "ShipOrder").fails_with.len(), 2);
    assert!(module.errors[0].retryable);
}

#[test]
fn a_read_model_is_the_declared_one_or_that_of_the_aggregate_that_is_told() {
    let module = shop(
        r#"
        rpc GetCard(ById) returns (CardReply) { option (potter.query) = { read_model: "ProductCard" }; }
        rpc FindCard(ById) returns (CardReply) { option (potter.query) = {}; }
        rpc GetProduct(ById) returns (Product) { option (potter.query) = {}; }
        rpc GetOverview(Nothing) returns (Overview) { option (potter.query) = {}; }
        rpc GetBasket(ById) returns (BasketCopy) { option (potter.query) = {}; }
        rpc ListOpen(Nothing) returns (Open) { option (potter.query) = { read_model: "BasketList" }; }
        rpc CountBaskets(Nothing) returns (Count) { option (potter.query) = {}; }
        rpc Ping(Nothing) returns (Count) { option (potter.query) = {}; }
    "#,
        r#"
        message Product { option (potter.aggregate) = {}; string id = 1; string name = 2; }
        message Basket { option (potter.aggregate) = {}; string id = 1; int32 items = 2; repeated string codes = 3; }
        message ProductNamed { option (potter.event) = { event_type: "named" aggregate: "Product" }; }
        message BasketFilled { option (potter.event) = { event_type: "filled" aggregate: "Basket" }; }
        message ProductCard { option (potter.read_model) = { name: "cards" }; string product_id = 1; string title = 2 [(potter.field) = { index: true unique: true }]; }
        message Sales { option (potter.read_model) = { events: ["filled"] }; string id = 1; }
        message CardReply { ProductCard card = 1; }
        message Overview { repeated Product products = 1; }
        message BasketCopy { string id = 1; int32 items = 2; }
        message Open { repeated BasketCopy baskets = 1; }
        message Count { int64 count = 1; }
        message ById { string id = 1; }
        message Nothing {}
    "#,
    );
    assert_eq!(reads(&module, "GetCard").as_deref(), Some("ProductCard"));
    assert_eq!(reads(&module, "FindCard").as_deref(), Some("ProductCard"));
    assert_eq!(reads(&module, "GetProduct").as_deref(), Some("ProductReadModel"));
    assert_eq!(reads(&module, "GetOverview").as_deref(), Some("ProductReadModel"));
    assert_eq!(reads(&module, "ListOpen").as_deref(), Some("BasketList"));
    assert_eq!(reads(&module, "GetBasket").as_deref(), Some("BasketList"));
    assert_eq!(reads(&module, "CountBaskets").as_deref(), Some("BasketList"));
    assert_eq!(reads(&module, "Ping"), None);
    assert_eq!(query(&module, "Ping").intent, QueryIntent::Unclear);

    let model = |name: &str| module.read_models.iter().find(|it| it.name == name).expect("a read model");
    let events = |name: &str| -> Vec<&str> {
        model(name).events.iter().map(|it| module.events[it.0].event_type.as_str()).collect()
    };
    assert_eq!((model("ProductCard").table.as_str(), model("ProductCard").key.name()), ("cards", "product_id"));
    assert_eq!(events("ProductCard"), ["named"]);
    assert_eq!(events("Sales"), ["filled"]);
    assert_eq!(events("BasketList"), ["filled"]);
    assert!(model("ProductCard").derived_from.is_none() && model("BasketList").derived_from.is_some());
    assert!(model("ProductCard").columns[0].indexed && model("ProductCard").columns[0].unique);
    // A list is kept in the row, but is no column.
    assert_eq!(model("BasketList").columns.len(), 1);
}

#[test]
fn only_plain_queries_have_an_intent() {
    let module = shop(
        r#"
        rpc GetNested(ById) returns (Nested) { option (potter.query) = {}; }
        rpc GetFlat(ById) returns (Flat) { option (potter.query) = {}; }
        rpc GetMore(ById) returns (More) { option (potter.query) = {}; }
        rpc GetFiltered(Two) returns (Nested) { option (potter.query) = {}; }
        rpc ListAll(Nothing) returns (Products) { option (potter.query) = {}; }
        rpc ListPages(Pages) returns (ProductPage) { option (potter.query) = {}; }
        rpc ListText(Text) returns (Products) { option (potter.query) = {}; }
        rpc ListOdd(OddType) returns (Products) { option (potter.query) = {}; }
    "#,
        r#"
        message Product { option (potter.aggregate) = {}; string id = 1; string name = 2; double price = 3; repeated string tags = 4; }
        message ById { string id = 1; }
        message Two { string id = 1; bool deleted = 2; }
        message Nothing {}
        message Nested { Product product = 1; }
        message Flat { string id = 1; double price = 2; }
        message More { Product product = 1; int32 rank = 2; }
        message Products { repeated Product products = 1; }
        message Pages { int32 page_size = 1; string page_token = 2; string order_by = 3; optional string name = 4; double min_price = 5; }
        message ProductPage { repeated Flat rows = 1; string next_page_token = 2; int64 total_size = 3; }
        message Text { string search = 1; }
        message OddType { int32 name = 1; }
    "#,
    );
    let intent = |name: &str| query(&module, name).intent;
    for (name, expected) in [
        ("GetNested", QueryIntent::Get),
        ("GetFlat", QueryIntent::Get),
        ("GetMore", QueryIntent::Unclear),
        ("GetFiltered", QueryIntent::Unclear),
        ("ListAll", QueryIntent::List),
        ("ListPages", QueryIntent::List),
        ("ListText", QueryIntent::Unclear),
        ("ListOdd", QueryIntent::Unclear),
    ] {
        assert_eq!(intent(name), expected, "{name}");
    }
    assert!(query(&module, "GetFiltered").id_field.is_some());
}

#[test]
fn default_routes_follow_the_names() {
    let module = shop(
        r#"
        rpc CreateOrderLine(Nothing) returns (Reply) { option (potter.command) = { aggregate: "OrderLine" }; }
        rpc UpdateOrderLine(ById) returns (Reply) { option (potter.command) = { aggregate: "OrderLine" }; }
        rpc DeleteOrderLine(ById) returns (Reply) { option (potter.command) = { aggregate: "OrderLine" }; }
        rpc ReserveStock(ById) returns (Reply) { option (potter.command) = { aggregate: "OrderLine" }; }
        rpc ActivateOrderLine(ById) returns (Reply) { option (potter.command) = { aggregate: "OrderLine" }; }
        rpc GetOrderLine(ById) returns (OrderLine) { option (potter.query) = {}; }
        rpc FindOrderLine(ById) returns (OrderLine) { option (potter.query) = {}; }
        rpc ListOrderLines(Nothing) returns (Lines) { option (potter.query) = {}; }
        rpc SearchOrderLines(Text) returns (Lines) { option (potter.query) = {}; }
        rpc GetOrderLineStatistics(Nothing) returns (Reply) { option (potter.query) = {}; }
        rpc ListOpenOrderLines(Nothing) returns (Lines) { option (potter.query) = {}; }
    "#,
        r#"
        message OrderLine { option (potter.aggregate) = {}; string id = 1; }
        message Lines { repeated OrderLine lines = 1; }
        message ById { string order_line_id = 1; }
        message Text { string text = 1; }
        message Nothing {}
        message Reply {}
    "#,
    );
    for (name, expected) in [
        ("CreateOrderLine", "POST /api/v1/order-lines"),
        ("UpdateOrderLine", "PUT /api/v1/order-lines/{order_line_id}"),
        ("DeleteOrderLine", "DELETE /api/v1/order-lines/{order_line_id}"),
        ("ReserveStock", "POST /api/v1/order-lines/{order_line_id}/reserve-stock"),
        ("ActivateOrderLine", "POST /api/v1/order-lines/{order_line_id}/activate"),
        ("GetOrderLine", "GET /api/v1/order-lines/{order_line_id}"),
        ("FindOrderLine", "GET /api/v1/order-lines/find-order-line"),
        ("ListOrderLines", "GET /api/v1/order-lines"),
        ("SearchOrderLines", "GET /api/v1/order-lines/search"),
        ("GetOrderLineStatistics", "GET /api/v1/order-lines/statistics"),
        ("ListOpenOrderLines", "GET /api/v1/order-lines/open"),
    ] {
        assert_eq!(routes(&module, name), [expected], "{name}");
    }
}

#[test]
fn annotated_routes_count_and_push_default_ones_aside() {
    let module = shop(
        r#"
        rpc GetProduct(ById) returns (Product) { option (potter.query) = {}; }
        rpc ReadProduct(ById) returns (Reply) {
          option (potter.query) = {};
          option (google.api.http) = {
            get: "/api/v1/products/{name}"
            response_body: "product"
            additional_bindings { post: "/v1/{id=shops/*/products/*}:read" body: "*" }
            additional_bindings { custom { kind: "HEAD" path: "/v1/{part.id}" } }
            additional_bindings { patch: "/v1/**" body: "part" }
          };
        }
    "#,
        r#"
        message Product { option (potter.aggregate) = {}; string id = 1; }
        message Reply { Product product = 1; }
        message ById { string id = 1; string name = 2; Product part = 3; }
    "#,
    );
    let routes = &rpc(&module, "ReadProduct").routes;
    let written: Vec<_> = routes.iter().map(|it| (it.method.as_str(), it.path.as_str(), it.body.clone())).collect();
    assert_eq!(
        written,
        [
            ("GET", "/api/v1/products/{name}", RouteBody::None),
            ("POST", "/v1/{id=shops/*/products/*}:read", RouteBody::All),
            ("HEAD", "/v1/{part.id}", RouteBody::None),
            ("PATCH", "/v1/**", RouteBody::Field("part".to_owned())),
        ]
    );
    assert_eq!(routes[0].response_body.as_deref(), Some("product"));
    let pushed: Vec<_> = rpc(&module, "GetProduct").routes.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(pushed, ["/api/v1/products/get-product"]);
}

#[test]
fn openapi_is_what_the_services_say() {
    let module = module(
        r#"
        syntax = "proto3";
        import "potter/options.proto";
        // Sells things.
        //
        // All of them.
        service Shop {
          option (potter.service) = {
            module_name: "web-shop"
            transport: ["GRPC", "rest", "gRPC"]
            openapi_version: "3.0.3"
            openapi_info {
              title: "The shop" version: "2.1" terms_of_service: "https://example.org/terms"
              contact { name: "Ann" email: "ann@example.org" } license { name: "MIT" }
            }
          };
        }
    "#,
    );
    assert_eq!(module.transports, [Transport::Rest, Transport::Grpc]);
    let openapi = module.openapi.expect("REST is served");
    assert_eq!((openapi.version, openapi.title.as_str()), (OpenApiVersion::V3_0, "The shop"));
    assert_eq!((openapi.info_version.as_str(), openapi.description.as_str()), ("2.1", "Sells things.\n\nAll of them."));
    assert_eq!(
        (openapi.contact, openapi.license),
        (["Ann".to_owned(), String::new(), "ann@example.org".to_owned()], ["MIT".to_owned(), String::new()],)
    );
    assert_eq!(openapi.terms_of_service, "https://example.org/terms");
}

#[test]
fn documentation_comes_from_options_else_from_comments() {
    let module = shop(
        r#"
        // Says hello.
        // Politely.
        rpc GetProduct(ById) returns (Product) { option (potter.query) = {}; option deprecated = true; }
        /* Ignored */
        rpc DropProduct(ById) returns (Product) {
          option (potter.command) = { aggregate: "Product" summary: "Drops" description: "it" tags: ["A", "B"] deprecated: true };
        }
    "#,
        "message Product { option (potter.aggregate) = {}; string id = 1; } message ById { string id = 1; }",
    );
    let docs = &rpc(&module, "GetProduct").docs;
    assert_eq!((docs.summary.as_str(), docs.description.as_str()), ("Says hello", "Says hello.\nPolitely."));
    assert!(docs.deprecated);
    let docs = &rpc(&module, "DropProduct").docs;
    assert_eq!((docs.summary.as_str(), docs.description.as_str()), ("Drops", "it"));
    assert!(docs.deprecated && docs.tags == ["A", "B"]);
}

#[test]
fn domain_files_that_are_imported_belong_to_the_module_and_other_modules_do_not() {
    let (module, _) = build_texts(&[
        (
            "shop.proto",
            r#"
            syntax = "proto3";
            package shop;
            import "potter/options.proto";
            import "domain/all.proto";
            import "billing.proto";
            service Shop {
              option (potter.service) = { module_name: "shop" };
              rpc PayOrder(PayOrder) returns (billing.Invoice) { option (potter.command) = { aggregate: "Order" }; }
            }
            message PayOrder { string order_id = 1; }
        "#,
        ),
        ("domain/all.proto", "syntax = \"proto3\"; import public \"domain/order.proto\";"),
        (
            "domain/order.proto",
            r#"
            syntax = "proto3";
            package shop.domain;
            import "potter/options.proto";
            import "google/type/money.proto";
            message Order { option (potter.aggregate) = {}; string id = 1; google.type.Money price = 2; State state = 3; }
            enum State { NEW = 0; }
            message OrderPaid { option (potter.event) = { event_type: "paid" aggregate: "shop.domain.Order" }; }
        "#,
        ),
        (
            "billing.proto",
            r#"
            syntax = "proto3";
            package billing;
            import "potter/options.proto";
            service Billing { option (potter.service) = { module_name: "billing" }; }
            message Invoice { option (potter.aggregate) = {}; string id = 1; Line line = 2; map<string, Tax> taxes = 3; }
            message Line { message Part { Kind kind = 1; } Part part = 1; }
            message Tax {}
            message Unused {}
            message Sent { option (potter.event) = { event_type: "sent" aggregate: "Invoice" }; }
            enum Kind { A = 0; }
        "#,
        ),
    ])
    .unwrap_or_else(|findings| panic!("{findings}"));
    assert_eq!(module.services.len(), 1);
    assert_eq!(module.aggregates.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["Order"]);
    assert_eq!(module.events.len(), 1);
    assert_eq!(emits(&module, "PayOrder"), ["OrderPaid"]);
    let types: Vec<_> = module.messages.iter().map(|it| it.full_name()).collect();
    assert_eq!(
        types,
        [
            "shop.domain.Order",
            "google.type.Money",
            "shop.domain.OrderPaid",
            "shop.PayOrder",
            "billing.Invoice",
            "billing.Line",
            "billing.Tax"
        ]
    );
    assert_eq!(module.enums.iter().map(|it| it.full_name()).collect::<Vec<_>>(), ["shop.domain.State", "billing.Kind"]);
}

#[test]
fn several_files_and_services_make_one_module_in_the_order_of_file_names() {
    let service = |name: &str| {
        format!(
            "syntax = \"proto3\"; package {name}; import \"potter/options.proto\"; import \"google/protobuf/empty.proto\";\n\
             service S {{ option (potter.service) = {{ module_name: \"m\" }};\n\
             rpc Make{name}(google.protobuf.Empty) returns (google.protobuf.Empty) {{ option (potter.command) = {{ aggregate: \"A{name}\" creates: true }}; }} }}\n\
             message A{name} {{ option (potter.aggregate) = {{}}; string id = 1; }}\n"
        )
    };
    let folder = crate::protos::write(&[("b.proto", &service("b")), ("a.proto", &service("a"))]);
    let files = ["b.proto", "a.proto"].map(|it| folder.path().join(it));
    let descriptors = potter_gen::descriptors::compile(&files, &[]).unwrap_or_else(|it| panic!("{it}"));
    let (module, _) = potter_gen::model::build(&descriptors, &Default::default()).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(module.services.iter().map(|it| it.descriptor.full_name()).collect::<Vec<_>>(), ["a.S", "b.S"]);
    assert_eq!(module.aggregates.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["Aa", "Ab"]);
    assert_eq!(module.messages.len(), 2, "well-known types are not among the messages");
}

#[test]
fn hazards_are_taken_as_they_are() {
    let module = module(&std::fs::read_to_string(cases("model").join("hazards.proto")).expect("a case"));
    let names: Vec<_> = module.messages.iter().map(|it| it.full_name().to_owned()).collect();
    assert_eq!(names, ["Option", "type", "String", "Box", "Tree", "AllScalars", "match", "Result", "Self"]);
    let [model] = module.read_models.as_slice() else { panic!("there is one read model") };
    let columns: Vec<_> =
        model.columns.iter().map(|it| format!("{} {:?} {}", it.field.name(), it.ty, it.nullable)).collect();
    assert_eq!(
        columns,
        [
            "int32 Integer false",
            "int64 Integer false",
            "uint32 Integer false",
            "uint64 Integer false",
            "sint32 Integer false",
            "sint64 Integer false",
            "fixed32 Integer false",
            "fixed64 Integer false",
            "sfixed32 Integer false",
            "sfixed64 Integer false",
            "float Real false",
            "double Real false",
            "bool Bool false",
            "bytes Bytes false",
            "kind Integer false",
            "maybe Text true",
            "left Text true",
            "right Integer true",
            "at Timestamp true",
            "lasts Duration true",
            "wrapped Integer true",
            "type Text false",
        ]
    );
    assert_eq!(emits(&module, "match"), Vec::<String>::new());
    assert_eq!(routes(&module, "match"), ["POST /api/v1/all-scalars/{id}/match"]);
}

#[test]
fn two_services_may_call_their_commands_alike() {
    let module = module(
        r#"
        syntax = "proto3";
        import "potter/options.proto";
        service Products {
          option (potter.service) = { module_name: "shop" };
          rpc Drop(ById) returns (Product) { option (potter.command) = { aggregate: "Product" }; }
        }
        service DraftService {
          option (potter.service) = { module_name: "shop" };
          rpc Drop(ById) returns (Product) { option (potter.command) = { aggregate: "Product" }; }
          rpc Keep(ById) returns (Product) { option (potter.command) = { aggregate: "Product" }; }
        }
        service More {
          option (potter.service) = { module_name: "shop" };
          rpc Drop(ById) returns (Product) { option (potter.command) = { aggregate: "Product" id: "drop-it" }; }
        }
        message Product { option (potter.aggregate) = {}; string id = 1; }
        message ById { string id = 1; }
    "#,
    );
    let rpcs: Vec<_> = module.services.iter().flat_map(|it| &it.rpcs).collect();
    let ids = rpcs.iter().filter_map(|it| match &it.kind {
        RpcKind::Command(command) => Some(command.id.as_str()),
        RpcKind::Query(_) => None,
    });
    assert_eq!(ids.collect::<Vec<_>>(), ["shop.products.drop", "shop.draft_service.drop", "shop.keep", "drop-it"]);
    let paths: Vec<_> = rpcs.iter().map(|it| it.routes[0].path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/api/v1/products/{id}/drop",
            "/api/v1/products/{id}/draft-service-drop",
            "/api/v1/products/{id}/keep",
            "/api/v1/products/{id}/more-drop"
        ]
    );
}

#[test]
fn fields_of_proto2_are_nullable_where_they_are_optional() {
    let module = module(
        r#"
        syntax = "proto2";
        import "potter/options.proto";
        service Shop {
          option (potter.service) = { module_name: "shop" };
          rpc Get(ById) returns (Product) { option (potter.query) = {}; }
        }
        message Product {
          option (potter.aggregate) = {};
          required string id = 1;
          required string name = 2;
          optional string note = 3 [default = "none"];
          optional group Part = 4 { optional int32 size = 1; }
        }
        message ById { optional string id = 1; }
    "#,
    );
    let columns: Vec<_> = module.read_models[0].columns.iter().map(|it| (it.field.name(), it.nullable)).collect();
    assert_eq!(columns, [("name", false), ("note", true)]);
}

#[test]
fn names_in_other_scripts_are_reported_and_nothing_breaks() {
    let text = "syntax = \"proto3\"; import \"potter/options.proto\";\n\
                service S { option (potter.service) = { module_name: \"каталог\" };\n\
                rpc Get(A) returns (A) { option (potter.query) = { read_model: \"Товары\" }; } }\n\
                message A { option (potter.aggregate) = { name: \"Товар\" }; string id = 1; }\n";
    let findings = crate::protos::build_text(text).expect_err("these names cannot be used");
    let codes: Vec<_> = findings.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(codes, ["P013", "P059"]);
}

#[test]
fn the_quick_start_warns_of_nothing() {
    let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart/catalogue.proto");
    let descriptors = potter_gen::descriptors::compile(&[proto.into()], &[]).expect("the quick start compiles");
    let (_, warnings) = potter_gen::model::build(&descriptors, &Default::default()).expect("the quick start is right");
    assert!(warnings.is_empty(), "{warnings}");
}

/// A shop that subscribes, and the module that it listens to, in a file with a service and in one without.
fn subscriber(subscribes: &str) -> Module {
    let shop = format!(
        "syntax = \"proto3\"; package shop; import \"potter/options.proto\"; import \"orders.proto\"; \
         import \"supply.proto\";\n\
         service Shop {{ option (potter.service) = {{ module_name: \"shop\" transport: \"NATS\" {subscribes} }};\n\
         rpc AddSupplier(AddSupplierRequest) returns (Supplier) {{ \
           option (potter.command) = {{ aggregate: \"Supplier\" }}; }} }}\n\
         message AddSupplierRequest {{ string supplier_id = 1; }}\n\
         message Supplier {{ option (potter.aggregate) = {{}}; string supplier_id = 1; }}"
    );
    let orders = "syntax = \"proto3\"; package orders; import \"potter/options.proto\";\n\
         service Orders { option (potter.service) = { module_name: \"orders\" }; }\n\
         message OrderPlaced { option (potter.event) = { event_type: \"order.placed\" aggregate: \"Order\" }; \
           Basket basket = 1; }\n\
         message Basket {} message Order {}";
    let supply = "syntax = \"proto3\"; package supply; import \"potter/options.proto\";\n\
         message Supplier { option (potter.aggregate) = {}; string id = 1; }\n\
         message SupplierRegistered { option (potter.event) = { aggregate: \"Supplier\" }; }";
    let files = [("shop.proto", shop.as_str()), ("orders.proto", orders), ("supply.proto", supply)];
    build_texts(&files).unwrap_or_else(|findings| panic!("these protos are right:\n{findings}")).0
}

#[test]
fn subscribed_events_are_other_modules_and_have_types_here() {
    let module = subscriber(
        "subscribes: { module: \"orders\" events: \"order.placed\" } \
         subscribes: { module: \"supply\" events: \"SupplierRegistered\" name: \"partners\" }",
    );
    let told: Vec<_> = module.subscriptions.iter().map(|it| (it.name.as_str(), it.module.as_str())).collect();
    assert_eq!(told, [("orders", "orders"), ("partners", "supply")]);
    let events: Vec<_> = module.subscriptions.iter().flat_map(|it| &it.events).collect();
    assert_eq!((events[0].message.full_name(), events[0].event_type.as_str()), ("orders.OrderPlaced", "order.placed"));
    assert_eq!(events[1].event_type, "supply.SupplierRegistered", "its own name, where nothing else is said");
    assert_eq!(events[0].mirrored_by, None);
    assert_eq!(events[1].mirrored_by.as_deref(), Some("shop.Shop.AddSupplier"));
    assert_eq!(module.events.len(), 0, "they are not recorded here");
    assert_eq!(module.aggregates.len(), 1, "nor are their aggregates");
    let messages: Vec<_> = module.messages.iter().map(|it| it.full_name()).collect();
    let expected = [
        "shop.AddSupplierRequest",
        "shop.Supplier",
        "orders.OrderPlaced",
        "orders.Basket",
        "supply.SupplierRegistered",
    ];
    assert_eq!(messages, expected);
}

#[test]
fn services_of_imported_modules_are_not_told_of_by_reflection() {
    let head = "syntax = \"proto3\"; import \"potter/options.proto\";";
    let shop = format!(
        "{head} import \"orders.proto\"; message Order {{ option (potter.aggregate) = {{}}; string id = 1; }}
         service Shop {{ option (potter.service) = {{ module_name: \"shop\" transport: \"NATS\" \
           subscribes: {{ module: \"orders\" events: \"OrderPlaced\" }} }}; }}"
    );
    let orders = format!(
        "{head} service Orders {{ option (potter.service) = {{ module_name: \"orders\" }}; }}
         message OrderPlaced {{ option (potter.event) = {{ event_type: \"order.placed\" aggregate: \"Order\" }}; }}"
    );
    let folder = crate::protos::write(&[("shop.proto", &shop), ("orders.proto", &orders)]);
    let compiled = potter_gen::descriptors::compile(&[folder.path().join("shop.proto")], &[]).expect("it compiles");
    let (module, _) = potter_gen::model::build(&compiled, &Default::default()).expect("it is right");
    let files = potter_gen::plan::files(&module, &compiled, &Default::default()).expect("no bug");
    let text = files.iter().find(|it| it.path.ends_with("descriptors.b64")).expect("it is carried along");
    let compact: String = text.contents.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(compact).expect("base64");
    let pool = DescriptorPool::decode(bytes.as_slice()).expect("a set that holds together");
    let services: Vec<_> = pool.services().map(|it| it.full_name().to_owned()).collect();
    assert_eq!(services, ["Shop"]);
    assert!(pool.get_message_by_name("OrderPlaced").is_some(), "its messages are needed to read JSON");
}
