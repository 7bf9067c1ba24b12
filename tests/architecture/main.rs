//! Holds the source to its map: which layer names which, which files of a layer import each other in a
//! circle, how long files, functions and lines are, and what is public.

mod api;
mod circles;
mod imports;
mod layers;
mod limits;
mod readme;
mod sizes;
mod source;
