use super::*;

fn subject() -> Subject {
    Subject::Event("order.placed".to_owned())
}

/// A module that is regenerated day by day.
#[derive(Default)]
struct Past(History);

impl Past {
    fn found(&self, day: &str) -> Vec<Finding> {
        let (descriptors, module) = shop(day);
        findings(&self.0, &module, &descriptors)
    }

    /// Codes of what stands against a day's declarations.
    fn codes(&self, day: &str) -> Vec<Code> {
        self.found(day).into_iter().map(|it| it.code).collect()
    }

    fn accept(&mut self, day: &str) {
        let found = self.found(day);
        self.0.accept(&accept(&found, &subject(), "never deployed"));
    }

    fn update(&mut self, day: &str) {
        assert_eq!(self.codes(day), [], "{day}");
        self.0.record(&shop(day).1);
    }
}

#[test]
fn what_was_accepted_of_a_shape_is_asked_about_each_time() {
    let kinds = |values: &str| event(1, "Kind kind = 2;", &format!("enum Kind {{ NONE = 0; {values} }}"));
    for (full, less, code) in [
        (kinds("DAMAGED = 1;"), kinds(""), Code::EventEnumValueRemoved),
        (placed("string note = 2;"), placed(""), Code::EventFieldRemoved),
        (placed("string note = 2;"), placed("string remark = 2;"), Code::EventJsonChanged),
    ] {
        let mut past = Past::default();
        past.update(&full);
        for _ in 0..2 {
            assert_eq!(past.codes(&less), [code], "{less}");
            past.accept(&less);
            past.update(&less);
            past.update(&less);
            if code == Code::EventJsonChanged {
                past.accept(&full);
            }
            past.update(&full);
        }
        assert_eq!(past.codes(&less), [code]);
    }
}

#[test]
fn what_is_left_of_an_accepted_change_stays_accepted() {
    let (both, neither) = (placed("string note = 2; string tag = 3;"), placed(""));
    let one = placed("string note = 2;");
    let mut past = Past::default();
    past.update(&both);
    past.accept(&neither);
    past.update(&neither);
    past.update(&one);
    past.update(&one);
    assert_eq!(past.codes(&neither), [Code::EventFieldRemoved], "the note is asked about again, the tag isn't");
}
