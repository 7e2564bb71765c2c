//! Conditions: what a transition is, and in which order they stand.
