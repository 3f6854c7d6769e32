//! What the class of a call does not allow does not compile. Each of these differs in one place from this, which does:
//!
//! ```
//! # use lifeboat::calls::{Arguments, Bound, Doorway, Served};
//! # use lifeboat::{CallError, Fence};
//! # struct Motor;
//! # type Winch = Served<u32, Motor>;
//! # struct Ask;
//! # struct Turn;
//! # struct Ring;
//! # struct Stop;
//! # impl Arguments<Winch> for Ask { fn check(&self, _: &u32) -> Result<(), CallError> { Ok(()) } }
//! # impl Arguments<Winch> for Turn { fn check(&self, _: &u32) -> Result<(), CallError> { Ok(()) } }
//! # impl Arguments<Winch> for Ring { fn check(&self, _: &u32) -> Result<(), CallError> { Ok(()) } }
//! # impl Arguments<Winch> for Stop { fn check(&self, _: &u32) -> Result<(), CallError> { Ok(()) } }
//! lifeboat::calls! {
//!     pub const CALLS for Winch {
//!         core PARAMETERS: Always(Ask) -> u32 = ask;
//!         0x40 "turn": Device(Turn) -> () = turn;
//!         0x41 "ring": Complete(Ring) -> Fence = ring;
//!         0x42 "stop": Driver(Stop) -> () = stop;
//!     }
//! }
//! fn ask(_: &u32, _: Ask) -> Result<u32, CallError> { unimplemented!() }
//! fn turn(_: &Bound<'_, Winch>, _: Turn) -> Result<(), CallError> { unimplemented!() }
//! fn ring(_: Option<&Bound<'_, Winch>>, _: &u32, _: Ring) -> Result<Fence, CallError> { unimplemented!() }
//! fn stop(_: &Doorway<'_, Winch>, _: Stop) -> Result<(), CallError> { unimplemented!() }
//! ```

/// A call that never fails for loss gets no device.
///
/// ```compile_fail,E0631
/// # use lifeboat::calls::{Arguments, Bound, Served};
/// # use lifeboat::CallError;
/// # type Winch = Served<u32, ()>;
/// # struct Ask;
/// # impl Arguments<Winch> for Ask { fn check(&self, _: &u32) -> Result<(), CallError> { Ok(()) } }
/// lifeboat::calls! {
///     pub const CALLS for Winch {
///         core PARAMETERS: Always(Ask) -> u32 = ask;
///     }
/// }
/// fn ask(_: &Bound<'_, Winch>, _: Ask) -> Result<u32, CallError> { unimplemented!() }
/// ```
mod call_1_always_gets_no_hardware {}

/// A call that needs the device cannot do without its token, which is what keeps the device there.
///
/// ```compile_fail,E0631
/// # use lifeboat::calls::{Arguments, Served};
/// # use lifeboat::CallError;
/// # type Winch = Served<u32, ()>;
/// # struct Turn;
/// # impl Arguments<Winch> for Turn { fn check(&self, _: &u32) -> Result<(), CallError> { Ok(()) } }
/// lifeboat::calls! {
///     pub const CALLS for Winch {
///         0x40 "turn": Device(Turn) -> () = turn;
///     }
/// }
/// fn turn(_: &u32, _: Turn) -> Result<(), CallError> { unimplemented!() }
/// ```
mod call_1_device_gets_its_token {}

/// A token stays on the thread of its call.
///
/// ```compile_fail,E0277
/// # use lifeboat::calls::{Bound, Served};
/// # type Winch = Served<u32, ()>;
/// fn turn(winch: &Bound<'_, Winch>) {
///     std::thread::spawn(move || winch.hardware(|_| ()));
/// }
/// ```
mod call_1_a_token_stays_on_its_thread {}

/// A call that owes an event cannot answer without the fence that stands for it.
///
/// ```compile_fail,E0271
/// # use lifeboat::calls::{Arguments, Bound, Served};
/// # use lifeboat::CallError;
/// # type Winch = Served<u32, ()>;
/// # struct Ring;
/// # impl Arguments<Winch> for Ring { fn check(&self, _: &u32) -> Result<(), CallError> { Ok(()) } }
/// lifeboat::calls! {
///     pub const CALLS for Winch {
///         0x41 "ring": Complete(Ring) -> () = ring;
///     }
/// }
/// fn ring(_: Option<&Bound<'_, Winch>>, _: &u32, _: Ring) -> Result<(), CallError> { unimplemented!() }
/// ```
mod call_1_complete_owes_its_event {}

/// A call that owes an event must be ready to have no device.
///
/// ```compile_fail,E0631
/// # use lifeboat::calls::{Arguments, Bound, Served};
/// # use lifeboat::{CallError, Fence};
/// # type Winch = Served<u32, ()>;
/// # struct Ring;
/// # impl Arguments<Winch> for Ring { fn check(&self, _: &u32) -> Result<(), CallError> { Ok(()) } }
/// lifeboat::calls! {
///     pub const CALLS for Winch {
///         0x41 "ring": Complete(Ring) -> Fence = ring;
///     }
/// }
/// fn ring(_: &Bound<'_, Winch>, _: &u32, _: Ring) -> Result<Fence, CallError> { unimplemented!() }
/// ```
mod call_1_complete_may_have_no_device {}

/// No driver gives a core call another class.
///
/// ```compile_fail,E0080
/// # use lifeboat::calls::{Arguments, Bound, Served};
/// # use lifeboat::CallError;
/// # type Winch = Served<u32, ()>;
/// # struct Ask;
/// # impl Arguments<Winch> for Ask { fn check(&self, _: &u32) -> Result<(), CallError> { Ok(()) } }
/// lifeboat::calls! {
///     pub const CALLS for Winch {
///         core PARAMETERS: Device(Ask) -> u32 = ask;
///     }
/// }
/// fn ask(_: &Bound<'_, Winch>, _: Ask) -> Result<u32, CallError> { unimplemented!() }
/// ```
mod call_1_the_class_of_a_core_call_is_fixed {}

/// No driver takes a core call's number, or one number twice.
///
/// ```compile_fail,E0080
/// # use lifeboat::calls::{Arguments, Served};
/// # use lifeboat::CallError;
/// # type Winch = Served<u32, ()>;
/// # struct Ask;
/// # impl Arguments<Winch> for Ask { fn check(&self, _: &u32) -> Result<(), CallError> { Ok(()) } }
/// lifeboat::calls! {
///     pub const CALLS for Winch {
///         0x04 "parameters": Always(Ask) -> u32 = ask;
///     }
/// }
/// fn ask(_: &u32, _: Ask) -> Result<u32, CallError> { unimplemented!() }
/// ```
mod call_1_the_numbers_of_core_calls_are_taken {}

/// Arguments that nobody checks are no arguments.
///
/// ```compile_fail,E0277
/// # use lifeboat::calls::Served;
/// # use lifeboat::CallError;
/// # type Winch = Served<u32, ()>;
/// # struct Ask;
/// lifeboat::calls! {
///     pub const CALLS for Winch {
///         core PARAMETERS: Always(Ask) -> u32 = ask;
///     }
/// }
/// fn ask(_: &u32, _: Ask) -> Result<u32, CallError> { unimplemented!() }
/// ```
mod call_1_arguments_are_checked {}
