//! End-to-end tests of the whole product as real processes. They are in `tests/it`; there is nothing here.
