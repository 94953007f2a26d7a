//! What is released and copied: the chart, the image, examples, documentation, the rules of the house, and what other tools make of them.

mod action;
mod demo;
mod documents;
mod examples;
mod gitops;
mod helm;
mod image;
mod kubernetes;
mod kustomize;
mod markdown;
mod names;
mod olm;
mod reference;
mod rights;
mod supply;
pub(crate) mod tidy;
