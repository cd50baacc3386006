//! The X-Ray view of spans: segments, the nodes they stand for, and graphs of nodes.
//!
//! Two makers, one result: [`TraceView`] reads whole traces span by span, `MapPart` adds up what was
//! counted when the spans came. Both give a [`Graph`].

mod adopt;
mod arrange;
mod causes;
mod facts;
mod fold;
mod graft;
mod graph;
mod inferred;
mod links;
mod types;
mod view;

pub use adopt::adopt_services;
pub use graph::trace_graph;
pub use inferred::{CLIENT, Inferred, REMOTE, SQL, inferred_service};
pub use throughline_model::xray::{LAMBDA, LAMBDA_FUNCTION};
pub use types::{
    Annotation, CauseKind, Edge, Entity, Exception, Graph, GraphEdge, GraphService, Outcome,
    RootCause, RootCauseEntity, RootCauseService, ServiceId, State, Statistics, TraceView,
};
