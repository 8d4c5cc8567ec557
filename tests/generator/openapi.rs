//! What the OpenAPI document says of a service.

use potter_gen::{docs::Comments, openapi};
use serde_json::{Value, json};

use crate::protos::build;

/// The document of a service with these rpcs and messages.
fn document(version: &str, rpcs: &str, rest: &str) -> Value {
    let (descriptors, module) = build(&format!(
        r#"
        syntax = "proto3";
        package shop;
        import "buf/validate/validate.proto";
        import "google/api/annotations.proto";
        import "potter/options.proto";
        service Shop {{
          option (potter.service) = {{ module_name: "shop" openapi_version: "{version}" }};
          {rpcs}
        }}
        message Product {{
          option (potter.aggregate) = {{}};
          string product_id = 1;
          string name = 2;
          int64 grams = 3;
          Money price = 4;
        }}
        message Money {{ int64 amount = 1 [(buf.validate.field).int64.gte = 0]; double rate = 2; }}
        {rest}
        "#
    ));
    let text = openapi::document(&module, &Comments::of(descriptors.pool().files())).expect("REST is served");
    serde_json::from_str(&text).expect("JSON")
}

/// A service that creates and changes products, and lists them.
fn products(version: &str) -> Value {
    document(
        version,
        r#"
        rpc CreateProduct(CreateProductRequest) returns (Product) {
          option (potter.command) = { aggregate: "Product" idempotent: true };
        }
        rpc UpdateProduct(UpdateProductRequest) returns (Product) {
          option (potter.command) = { aggregate: "Product" };
        }
        rpc ListProducts(ListProductsRequest) returns (ListProductsResponse) { option (potter.query) = {}; }
        "#,
        r#"
        message CreateProductRequest {
          string name = 1 [(buf.validate.field).string.min_len = 1];
          string sku = 2 [(buf.validate.field).string.pattern = "^[A-Z]+$"];
          string note = 3 [(buf.validate.field).string.pattern = "^[A-Z]*$"];
          uint32 stock = 4 [(buf.validate.field) = { uint32: { gte: 1 }, ignore: IGNORE_IF_ZERO_VALUE }];
          uint32 boxes = 5 [(buf.validate.field).uint32.gt = 0];
          optional string colour = 6 [(buf.validate.field).string.min_len = 1];
          Money price = 7 [(buf.validate.field).required = true];
          bytes picture = 8;
        }
        message UpdateProductRequest { string product_id = 1; optional string name = 2; Money price = 3; }
        message ListProductsRequest { int32 page = 1 [(buf.validate.field).int32.gte = 1]; int32 page_size = 2; string name = 3; string order_by = 4; }
        message ListProductsResponse { repeated Product products = 1; int64 total = 2; }
        message ProductCreated {
          option (potter.event) = { event_type: "product.created" aggregate: "Product" };
          string product_id = 1;
          string name = 2;
        }
        message ProductUpdated {
          option (potter.event) = { event_type: "product.updated" aggregate: "Product" };
          string product_id = 1;
          optional string name = 2;
        }
        "#,
    )
}

#[test]
fn a_request_must_have_what_its_rules_refuse_to_miss() {
    let schemas = &products("3.1.0")["components"]["schemas"];
    let create = &schemas["CreateProductRequest"];
    assert_eq!(create["required"], json!(["name", "sku", "boxes", "price"]));
    let types = |name: &str| create["properties"][name]["type"].clone();
    assert_eq!((types("name"), types("colour")), (json!("string"), json!(["string", "null"])));
    assert_eq!(create["properties"]["price"], json!({ "$ref": "#/components/schemas/Money-Input" }));
}

#[test]
fn a_body_may_be_left_out_when_nothing_in_it_must_be_there() {
    let document = products("3.1.0");
    let body = |path: &str, method: &str| &document["paths"][path][method]["requestBody"];
    assert_eq!(body("/api/v1/products", "post")["required"], true);
    let update = body("/api/v1/products/{product_id}", "put");
    assert_eq!(update["required"], false);
    assert!(update["content"]["application/json"]["schema"].get("required").is_none(), "{update}");
}

#[test]
fn what_is_read_differs_from_what_is_written() {
    let document = products("3.1.0");
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        schemas["Money"]["properties"]["amount"],
        json!({ "type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$" })
    );
    let read = &schemas["Money-Input"]["properties"]["amount"];
    assert_eq!(read["type"], json!(["integer", "string", "null"]));
    assert_eq!((&read["minimum"], &read["pattern"]), (&json!(0), &json!("^[0-9]{1,18}$")));
    assert_eq!(schemas["Money"]["required"], json!(["amount", "rate"]));
    assert!(schemas["Money-Input"].get("required").is_none());
    assert_eq!(schemas["Money"]["properties"]["rate"]["type"], json!(["number", "string"]));
}

#[test]
fn openapi_3_0_says_the_same_in_its_own_words() {
    let document = products("3.0.3");
    let read = &document["components"]["schemas"]["Money-Input"]["properties"]["amount"];
    assert_eq!(read["anyOf"][0]["type"], "integer");
    assert_eq!(read["anyOf"][0]["nullable"], true);
    assert_eq!(read["anyOf"][0]["minimum"], 0);
    assert_eq!(read["anyOf"][1], json!({ "type": "string", "pattern": "^[0-9]{1,18}$" }));
}

#[test]
fn parameters_say_what_is_refused() {
    let document = products("3.1.0");
    let schema = |path: &str, method: &str, name: &str| {
        let parameters = document["paths"][path][method]["parameters"].as_array().expect("parameters").clone();
        parameters.into_iter().find(|it| it["name"] == name).expect("a parameter")["schema"].clone()
    };
    assert_eq!(schema("/api/v1/products", "get", "pageSize")["minimum"], 0);
    assert_eq!(schema("/api/v1/products", "get", "page")["minimum"], 1);
    let order = schema("/api/v1/products", "get", "orderBy");
    assert_eq!(order["pattern"], "^((productId|name|grams)( asc| desc)?(, ?(productId|name|grams)( asc| desc)?)*)?$");
    let id = schema("/api/v1/products/{product_id}", "put", "product_id");
    assert_eq!(id["maxLength"], 255);
    assert!(id["pattern"].as_str().is_some_and(|it| it.starts_with("^[A-Za-z0-9]")), "{id}");
}

#[test]
fn every_way_to_go_wrong_is_named() {
    let document = products("3.1.0");
    let statuses = |path: &str, method: &str| {
        let responses = document["paths"][path][method]["responses"].as_object().expect("responses");
        responses.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(statuses("/api/v1/products", "post"), "201 400 409 413 415 422 default");
    assert_eq!(statuses("/api/v1/products/{product_id}", "put"), "200 400 404 409 412 413 415 422 default");
    assert_eq!(statuses("/api/v1/products", "get"), "200 400 default");
    let named = document["components"]["responses"].as_object().expect("responses");
    for response in document["paths"]
        .as_object()
        .expect("paths")
        .values()
        .flat_map(|it| it.as_object().expect("operations").values())
    {
        for reference in
            response["responses"].as_object().expect("responses").values().filter_map(|it| it["$ref"].as_str())
        {
            let name = reference.strip_prefix("#/components/responses/").expect("a response");
            assert!(named.contains_key(name), "{reference}");
        }
    }
}

#[test]
fn requests_may_have_the_numbers_of_enums_and_choose_ids() {
    let document = document(
        "3.1.0",
        r#"
        rpc CreateProduct(CreateProductRequest) returns (Product) { option (potter.command) = { aggregate: "Product" creates: true }; }
        rpc MoveProduct(MoveProductRequest) returns (Product) {
          option (potter.command) = { aggregate: "Product" };
          option (google.api.http) = { post: "/v1/products/{product_id}:move" body: "price" };
        }
        "#,
        r#"
        enum Kind { KIND_UNSPECIFIED = 0; SMALL = 1; }
        message CreateProductRequest { string product_id = 1; Kind kind = 2; }
        message MoveProductRequest { string product_id = 1 [(buf.validate.field).string.pattern = "^p"]; Money price = 2; }
        "#,
    );
    let create = &document["components"]["schemas"]["CreateProductRequest"]["properties"];
    let kind = json!([
        { "$ref": "#/components/schemas/Kind" },
        { "type": "integer", "format": "int32" },
        { "type": "null" },
    ]);
    assert_eq!(create["kind"]["anyOf"], kind);
    assert_eq!(create["productId"]["maxLength"], 255);
    assert!(create["productId"]["pattern"].as_str().is_some_and(|it| it.ends_with(")?$")), "{create}");
    let moved = &document["paths"]["/v1/products/{product_id}:move"]["post"];
    assert_eq!(moved["parameters"][0]["schema"], json!({ "type": "string", "pattern": "^p", "maxLength": 255 }));
    let body = &moved["requestBody"];
    assert_eq!(body["required"], false);
    let schema = &body["content"]["application/json"]["schema"];
    assert_eq!(schema["anyOf"], json!([{ "$ref": "#/components/schemas/Money-Input" }, { "type": "null" }]));
}
