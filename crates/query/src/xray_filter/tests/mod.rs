mod candidates;
mod generated;
mod kit;
mod pages;
mod select;
mod text;
