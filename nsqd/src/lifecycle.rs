//! Phases of a node.
