//! Whom events reach.

use super::*;

#[test]
fn whether_an_event_is_published_is_a_promise() {
    let (public, internal) = (placed(""), placed("").replace("version: 1", "version: 1 internal: true"));
    let found = findings_of(&[&public, &internal]);
    let [found] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((found.code, found.is_breaking()), (Code::EventWithdrawn, true));
    let found = findings_of(&[&internal, &public]);
    let [found] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((found.code, found.is_breaking()), (Code::EventPublished, false));
    let retired = internal.replace("internal: true", "internal: true retired: true");
    assert_eq!(findings_of(&[&public, &retired]), [], "nothing more comes of it anyway");

    // Accepted once, it is done; done once more, it is asked about again.
    let (mut history, descriptors, module) = after(&[&public, &internal]);
    let found = findings(&history, &module, &descriptors);
    history.accepted = accept(&found, &Subject::Event("order.placed".to_owned()), "nobody listens");
    assert_eq!(findings(&history, &module, &descriptors), []);
    history.record(&module);
    assert!(history.accepted[0].used);
    history.record(&shop(&public).1);
    assert_eq!(findings(&history, &module, &descriptors).len(), 1);
}
