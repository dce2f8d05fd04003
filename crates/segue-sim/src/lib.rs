//! Two servers, publishers and viewers in virtual time: the product's own session, hand-over, splice and drain code,
//! joined by simulated TCP with latency, arbitrary segmentation, stalls and resets. One seed gives one trace. The judge
//! is the ledger.
//!
//! [`world`] executes, [`node`] is a server, [`pipe`] is the network, [`source`] makes media, [`clients`] are a publisher
//! and a viewer with something to do, [`tap`] overhears. [`random`] draws schedules of
//! faults and judges what came of them; [`plant`] has the bugs that it must find.

pub mod clients;
pub mod ids;
pub mod node;
pub mod pipe;
pub mod plant;
pub mod random;
pub mod source;
pub mod tap;
pub mod world;
