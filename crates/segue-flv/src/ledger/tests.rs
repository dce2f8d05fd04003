//! The ledger against faults of known number, and against a naive oracle.
