//! Nothing: the benches of this package are its subject.
