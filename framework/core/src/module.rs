//! Everything that generated code declares of one module.
