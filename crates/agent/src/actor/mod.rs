//! Actors: steps as lists of writes, and the processes that carry them out.
//!
//! | module | concept |
//! |---|---|
//! | [`targets`] | the functions that a step may touch, with their settings |
//! | [`condition`] | what a plan waits for, and the settings that it puts back |
//! | [`plan`] | operations in their order |
//! | [`steps`] | the plan of each kind of step |
//! | [`execute`] | carries a plan out by hands that are given |
//! | [`machine`] | hands that write to sysfs |
//! | [`record`] | hands that only note what they would write |
//! | [`hook`] | programs of vendors, and the contract with them |
//! | [`child`] | processes of their own for plans: one for a device, abandoned if stuck, recognised after a restart |
//! | [`holders`] | ends processes that hold a device |
//! | [`outcome`] | how a step ended |

pub mod child;
pub mod condition;
pub mod execute;
pub mod holders;
pub mod hook;
pub mod machine;
pub mod outcome;
pub mod plan;
pub mod record;
pub mod steps;
pub mod targets;
