//! The layers stay apart: the domain knows no I/O, the application no transport, `main` alone puts them together.

#[test]
fn layers_depend_in_one_direction() {
    potter::testing::assert_layers(env!("CARGO_MANIFEST_DIR"));
}
