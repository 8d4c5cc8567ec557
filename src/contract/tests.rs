use proptest::prelude::*;

use super::*;
use crate::testing::shop;

const PLACED: &str = r#"message OrderPlaced {
    option (potter.event) = { event_type: "order.placed" aggregate: "Order" };
    string order_id = 1;
}"#;

const TEXT: &str = r#"rpc .shop.Orders.GetOrder {
  request .shop.GetOrderRequest
  reply .shop.GetOrderReply
  query
  route "GET" "/api/v1/orders/{id}"
}
rpc .shop.Orders.PlaceOrder {
  request .shop.PlaceOrderRequest
  reply .shop.PlaceOrderReply
  command "shop.place_order" async idempotent to "Order" creates
  route "POST" "/api/v1/orders" body "*"
}
error "OUT_OF_STOCK" .shop.OutOfStock retryable
message .shop.GetOrderReply {
  1 optional .shop.Order order
}
message .shop.GetOrderRequest {
  1 string id
}
message .shop.Order {
  1 string id
  2 string note
}
message .shop.OutOfStock {
  1 string sku
}
message .shop.PlaceOrderReply {
  1 string order_id
}
message .shop.PlaceOrderRequest {
  1 string note
}
"#;

#[test]
fn says_what_callers_lean_on() {
    assert_eq!(Contract::of(&shop(PLACED).1).to_string(), TEXT);
}

#[test]
fn reads_back_what_it_prints() {
    assert_eq!(TEXT.parse(), Ok(Contract::of(&shop(PLACED).1)));
    let former = TEXT.replace(" to \"Order\" creates", "");
    assert_eq!(former.parse::<Contract>().expect("locks of former versions are read").to_string(), former);
    let streams = TEXT.replace("request .", "request stream .").replace("body \"*\"", "body \"a\" response \"b\"");
    assert_eq!(streams.parse::<Contract>().expect("a contract").to_string(), streams);
}

#[test]
fn says_where_and_what_is_malformed() {
    let cases = [
        ("rpc .a.B.C {\n", 1, "`}` is missing"),
        ("rpc .a.B.C {\n  reply .M\n", 2, "`request` expected, not `reply`"),
        ("rpc .a.B.C {\n  request .M\n  reply .M\n  comand\n}\n", 4, "`command` expected, not `comand`"),
        ("rpc .a.B.C {\n  request .M\n  reply .M\n  query\n  route GET\n}\n", 5, "string expected, not `GET`"),
        ("error \"A\" .M\nerror \"A\" .M\n", 2, "this error is there already"),
        ("rpcs\n", 1, "full name with a leading dot expected"),
    ];
    for (text, line, message) in cases {
        let wrong = text.parse::<Contract>().expect_err(text);
        assert_eq!((wrong.line, wrong.message.as_str()), (line, message), "{text}");
    }
}

#[test]
fn uniting_adds_what_the_other_has() {
    let (first, second) = TEXT.split_at(TEXT.find("rpc .shop.Orders.PlaceOrder").expect("it is there"));
    let mut united: Contract = first.parse().expect("a contract");
    united.unite(second.parse().expect("a contract"));
    assert_eq!(united.to_string(), TEXT);
}

proptest! {
    #[test]
    fn a_damaged_contract_is_refused_or_another_contract(at in 0..TEXT.len(), letter in any::<char>()) {
        let mut text = TEXT.to_owned();
        text.replace_range(at..=at, letter.encode_utf8(&mut [0; 4]));
        if let Ok(contract) = text.parse::<Contract>() {
            prop_assert_eq!(contract.to_string().parse(), Ok(contract));
        }
    }
}
