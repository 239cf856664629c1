"""The helper process of `libqrmi`, and the files of the C library and of the Rust crate."""
