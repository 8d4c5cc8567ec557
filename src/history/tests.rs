use super::*;
use crate::testing::shop;

/// An `OrderPlaced` of that version, with further fields.
fn placed(version: u32, fields: &str) -> Module {
    shop(&format!(
        "message OrderPlaced {{
           option (potter.event) = {{ event_type: \"order.placed\" aggregate: \"Order\" version: {version} }};
           string order_id = 1; {fields}
         }}"
    ))
    .1
}

fn versions(history: &History) -> Vec<(u32, usize)> {
    let shapes = &history.events["order.placed"].shapes;
    shapes.iter().map(|it| (it.version, it.shape.root().fields.len())).collect()
}

#[test]
fn only_grows() {
    let mut history = History::default();
    history.record(&placed(1, ""));
    history.record(&placed(1, "string note = 2;"));
    history.record(&placed(1, ""));
    history.record(&placed(2, "int32 a = 2; int32 b = 3;"));
    history.record(&placed(1, "string note = 2; int32 more = 3;"));
    assert_eq!(versions(&history), [(1, 1), (1, 2), (1, 3), (2, 3)]);
    assert_eq!(history.events["order.placed"].version(), 2);
}

#[test]
fn an_event_that_is_gone_is_remembered() {
    let mut history = History::of(&placed(1, ""));
    history.record(&shop("").1);
    assert_eq!(versions(&history), [(1, 1)]);
}

/// A module with events of these types, declared in this order.
fn with_events(types: &[&str]) -> Module {
    let event = |(number, event_type): (usize, &&str)| {
        format!(
            "message E{number} {{
               option (potter.event) = {{ event_type: \"{event_type}\" aggregate: \"Order\" }};
               string order_id = 1;
             }}"
        )
    };
    shop(&types.iter().enumerate().map(event).collect::<String>()).1
}

fn modules(history: &History) -> Vec<(&str, String)> {
    history.events.iter().map(|(event_type, event)| (event_type.as_str(), event.module(event_type))).collect()
}

#[test]
fn the_module_of_a_past_stays_whatever_is_declared_before_it() {
    let mut history = History::default();
    history.record(&with_events(&["order.placed"]));
    let placed = ("order.placed", "order_placed".to_owned());
    assert_eq!(modules(&history), std::slice::from_ref(&placed));
    let both = [placed, ("order_placed", "order_placed2".to_owned())];
    for types in [&["order_placed", "order.placed"], &["order.placed", "order_placed"]] {
        history.record(&with_events(types));
        assert_eq!(modules(&history), both);
        let text = toml::to_string(&history).expect("it is made of strings, numbers and tables");
        assert_eq!(modules(&toml::from_str(&text).expect("it is read back")), both);
    }
    history.record(&with_events(&["order_placed", "order-placed"]));
    assert_eq!(modules(&history)[1..], both, "one that is gone keeps its name");
    assert_eq!(modules(&history)[0], ("order-placed", "order_placed3".to_owned()));
}

#[test]
fn two_branches_are_united() {
    let base = History::of(&placed(1, ""));
    let (mut ours, mut theirs) = (base.clone(), base);
    ours.record(&placed(1, "string note = 2;"));
    theirs.record(&placed(2, "string note = 2;"));
    theirs.accepted.push(Accepted {
        subject: Subject::Event("order.placed".to_owned()),
        from: "a".to_owned(),
        to: "b".to_owned(),
        reason: "nobody uses it".to_owned(),
        used: false,
    });
    let mut both = ours.clone();
    both.unite(theirs.clone());
    assert_eq!(versions(&both), [(1, 1), (1, 2), (2, 2)]);
    assert_eq!(both.accepted, theirs.accepted);
    both.unite(theirs);
    both.unite(ours);
    assert_eq!(versions(&both), [(1, 1), (1, 2), (2, 2)]);
    assert_eq!(both.accepted.len(), 1);
}

#[test]
fn is_read_back_from_toml() {
    let mut history = History::of(&placed(1, "string note = 2 [json_name = \"\\\"'''\\n\"];"));
    history.record(&placed(3, ""));
    history.accepted = [Subject::Event("order.placed".to_owned()), Subject::Rpc("shop.Orders.PlaceOrder".to_owned())]
        .map(|subject| Accepted {
            subject,
            from: "a".to_owned(),
            to: "b".to_owned(),
            reason: "r".to_owned(),
            used: false,
        })
        .to_vec();
    let text = toml::to_string(&history).expect("it is made of strings, numbers and tables");
    assert_eq!(toml::from_str::<History>(&text), Ok(history), "{text}");
    assert!(text.contains("\n  1 string order_id\n"), "a line per field:\n{text}");
}

#[test]
fn a_malformed_shape_is_refused_with_its_place() {
    let text = toml::to_string(&History::of(&placed(1, ""))).expect("it is made of strings, numbers and tables");
    let wrong = toml::from_str::<History>(&text.replace("1 string order_id", "1 sting order_id"));
    let message = wrong.expect_err("there is no such type").to_string();
    assert!(message.contains("type expected, not `sting`"), "{message}");
}
