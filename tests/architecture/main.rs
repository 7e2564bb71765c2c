//! What holds the house together, checked: who may depend on whom, who may know what, nothing lost, nothing rotten.
//!
//! Each check is a pure function over text, and each is shown to find what it is there to find.

mod source;

mod edges;
mod rooms;

mod anchors;
mod files;
mod pages;
mod workflows;
