//! Upstream parameters of Auth0 connections, managed from Kubernetes.

pub mod api;
pub mod auth0;
pub mod cluster;
pub mod core;
pub mod hub;
