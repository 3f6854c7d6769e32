//! Calls: what users can ask of a device, declared once in a table.
//!
//! Each row of [`calls!`](crate::calls!) says the call's name, number, arguments and class, and names its handler. The
//! class decides what the handler is given, and so what it can touch (CALL-1):
//!
//! | class | its handler is | after loss |
//! |---|---|---|
//! | `Always` | `fn(&Users, Arguments) -> Result<Reply, CallError>` | as before: it never had any hardware |
//! | `Infallible`, of class `Always` | `fn(&Users, Arguments) -> Reply` | the same; it has no way to fail, so the caller gets no `Result` |
//! | `Device` | `fn(&Bound<'_, Callee>, Arguments) -> Result<Reply, CallError>` | ENODEV, and the handler is not called |
//! | `Complete` | `fn(Option<&Bound<'_, Callee>>, &Users, Arguments) -> Result<Fence, CallError>` | called without the device; the event it owes is the fence |
//! | `Driver` | `fn(&Doorway<'_, Callee>, Arguments) -> Result<Reply, CallError>` | called, and the gate refuses |
//!
//! What the arguments are is checked by their type ([`Arguments`]) before a handler sees them. Calls that mean the same on
//! every device are the framework's ([`lifeboat_core::core_call`]): their class is not for a driver to choose.

mod reach;
#[cfg(doctest)]
mod refused;
mod served;
mod tokens;

use lifeboat_core::class::Class;
use lifeboat_core::core_call::{CoreCall, DRIVER_BASE};

pub use reach::Reach;
pub(crate) use reach::{Inside, is_inside_access};
pub use served::Served;
pub use tokens::{Bound, Doorway, Entrance, Key};

use crate::CallError;

/// What the calls of one kind of device work on. [`Served`] is one, for any users' side and any hardware.
pub trait Callee: 'static {
    /// What users keep when the device is gone. It must give no way to the hardware.
    type Users: ?Sized;
    /// What they lose.
    type Hardware: Send + Sync + 'static;

    /// The users' side.
    fn users(&self) -> &Self::Users;

    /// The way to the hardware. Only tokens have the key.
    fn reach(&self, key: Key) -> &Reach<Self::Hardware>;
}

/// What a user has passed with a call.
pub trait Arguments<D: Callee> {
    /// Whether they make sense on this device. A handler sees no others.
    ///
    /// # Errors
    /// [`CallError::Invalid`], with what it should be, or what else the call answers then.
    fn check(&self, users: &D::Users) -> Result<(), CallError>;
}

/// A call: a type for its arguments, and what [`calls!`](crate::calls!) says of it.
pub trait Call<D: Callee>: Arguments<D> + Sized {
    /// What it answers.
    type Reply;
    /// Its row in the table.
    const INFO: CallInfo;

    /// Makes it.
    ///
    /// # Errors
    /// As its class, its arguments and its handler say.
    fn make(self, entrance: &Entrance<'_, D>) -> Result<Self::Reply, CallError>;
}

/// A call of class `Always` that cannot fail: there is nothing to check, and no hardware to miss.
pub trait InfallibleCall<D: Callee>: Sized {
    /// What it answers.
    type Reply;
    /// Its row in the table.
    const INFO: CallInfo;

    /// Makes it.
    fn make(self, users: &D::Users) -> Self::Reply;
}

/// A row of the table of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallInfo {
    /// Its number, as a kernel's interface would have it.
    pub number: u16,
    /// Its name, for messages and tables.
    pub name: &'static str,
    /// What it may touch and what becomes of it after loss.
    pub class: Class,
}

impl CallInfo {
    /// A call of the framework's, as the table of a driver has it.
    ///
    /// # Panics
    /// If the driver gives it another class; at compile time, in a table.
    #[must_use]
    pub const fn core(call: CoreCall, class: Class) -> Self {
        assert!(call.class as u8 == class as u8, "the class of a core call is fixed");
        Self { number: call.number, name: call.name, class }
    }

    /// A call of the driver's own.
    ///
    /// # Panics
    /// If its number is one of the framework's; at compile time, in a table.
    #[must_use]
    pub const fn driver(number: u16, name: &'static str, class: Class) -> Self {
        assert!(number >= DRIVER_BASE, "the calls of a driver have numbers from 0x40 on");
        Self { number, name, class }
    }

    /// Whether the rows are in the order of their numbers, each with one of its own.
    #[doc(hidden)]
    #[must_use]
    pub const fn are_in_order(rows: &[Self]) -> bool {
        let mut at = 1;
        while at < rows.len() {
            if rows[at - 1].number >= rows[at].number {
                return false;
            }
            at += 1;
        }
        true
    }
}

/// Declares the table of a driver's calls.
///
/// A table is for one type of device, or `for<G: Bound> Device<G>` for a family of such types. A row is `number "name": Class(Arguments) -> Reply = handler;`, or `core NAME: Class(Arguments) -> Reply = handler;` for a
/// call of the framework's. `Infallible` in the place of the class stands for class `Always` and a handler that cannot
/// fail; its arguments need no [`Arguments`]. One without arguments and handler (`core NAME: Class;`) is made in some other way, and stands
/// in the table for those who read it.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use lifeboat::calls::{Arguments, Bound, Doorway, Served};
/// use lifeboat::core::class::Refusal;
/// use lifeboat::{CallError, Fence};
///
/// struct Limits { fastest: u32 }
/// struct Motor { /* its registers */ }
/// type Winch = Served<Limits, Motor>;
///
/// struct GetFastest;
/// struct Turn { speed: u32 }
/// struct Ring;
/// struct Stop;
///
/// impl Arguments<Winch> for Turn {
///     fn check(&self, limits: &Limits) -> Result<(), CallError> {
///         if self.speed <= limits.fastest { Ok(()) } else { Err(CallError::Invalid("it cannot turn so fast")) }
///     }
/// }
/// # impl Arguments<Winch> for Ring { fn check(&self, _: &Limits) -> Result<(), CallError> { Ok(()) } }
/// # impl Arguments<Winch> for Stop { fn check(&self, _: &Limits) -> Result<(), CallError> { Ok(()) } }
///
/// lifeboat::calls! {
///     /// What a winch can do.
///     pub const CALLS for Winch {
///         core PARAMETERS: Infallible(GetFastest) -> u32 = fastest;
///         0x40 "turn": Device(Turn) -> () = turn;
///         0x41 "ring": Complete(Ring) -> Fence = ring;
///         0x42 "stop": Driver(Stop) -> bool = stop;
///     }
/// }
///
/// fn fastest(limits: &Limits, _: GetFastest) -> u32 { limits.fastest }
/// fn turn(winch: &Bound<'_, Winch>, turn: Turn) -> Result<(), CallError> {
///     winch.hardware(|motor| { /* write turn.speed */ }).ok_or(Refusal::Gone.into())
/// }
/// fn ring(winch: Option<&Bound<'_, Winch>>, _: &Limits, _: Ring) -> Result<Fence, CallError> { Ok(Fence::signalled(Ok(()))) }
/// fn stop(winch: &Doorway<'_, Winch>, _: Stop) -> Result<bool, CallError> { Ok(winch.enter().is_none()) }
///
/// let winch = Winch::new(Limits { fastest: 9 }, Motor {});
/// assert_eq!(winch.call(Turn { speed: 5 }), Ok(()));
/// assert!(winch.call(Turn { speed: 10 }).is_err());
/// winch.lose(Duration::from_secs(1)).unwrap();
/// assert!(winch.call(Turn { speed: 5 }).unwrap_err().is_loss());
/// assert_eq!(winch.ask(GetFastest), 9);
/// assert!(winch.call(Ring).is_ok());
/// assert_eq!(winch.call(Stop), Ok(true));
/// assert_eq!(CALLS[1].name, "turn");
/// ```
#[macro_export]
macro_rules! calls {
    ($(#[$doc:meta])* $vis:vis const $table:ident for<$kind:ident: $bound:path> $callee:ty { $($rows:tt)* }) => {
        $crate::calls!(@row [$(#[$doc])* $vis $table] [[$kind: $bound] $callee] [] $($rows)*);
    };
    ($(#[$doc:meta])* $vis:vis const $table:ident for $callee:ty { $($rows:tt)* }) => {
        $crate::calls!(@row [$(#[$doc])* $vis $table] [[] $callee] [] $($rows)*);
    };

    (@row [$(#[$doc:meta])* $vis:vis $table:ident] $callee:tt [$($done:expr,)*]) => {
        $(#[$doc])*
        $vis const $table: &[$crate::calls::CallInfo] = &[$($done),*];
        const _: () = assert!($crate::calls::CallInfo::are_in_order($table), "calls are in the order of their numbers, each with its own");
    };
    (@row $head:tt $callee:tt [$($done:expr,)*] $(#[$note:meta])* core $name:ident: $class:ident; $($rest:tt)*) => {
        $crate::calls!(@row $head $callee [$($done,)* $crate::calls!(@core $name $class),] $($rest)*);
    };
    (@row $head:tt $callee:tt [$($done:expr,)*] $(#[$note:meta])*
        $number:literal $name:literal: $class:ident; $($rest:tt)*
    ) => {
        $crate::calls!(@row $head $callee [$($done,)* $crate::calls!(@own $number $name $class),] $($rest)*);
    };
    (@row $head:tt $callee:tt [$($done:expr,)*] $(#[$note:meta])*
        core $name:ident: Infallible($arguments:ty) -> $reply:ty = $handler:expr; $($rest:tt)*
    ) => {
        $crate::calls!(@infallible $callee, $arguments, $reply, $handler, $crate::calls!(@core $name Always));
        $crate::calls!(@row $head $callee [$($done,)* $crate::calls!(@core $name Always),] $($rest)*);
    };
    (@row $head:tt $callee:tt [$($done:expr,)*] $(#[$note:meta])*
        $number:literal $name:literal: Infallible($arguments:ty) -> $reply:ty = $handler:expr; $($rest:tt)*
    ) => {
        $crate::calls!(@infallible $callee, $arguments, $reply, $handler, $crate::calls!(@own $number $name Always));
        $crate::calls!(@row $head $callee [$($done,)* $crate::calls!(@own $number $name Always),] $($rest)*);
    };
    (@row $head:tt $callee:tt [$($done:expr,)*] $(#[$note:meta])*
        core $name:ident: $class:ident($arguments:ty) -> $reply:ty = $handler:expr; $($rest:tt)*
    ) => {
        $crate::calls!(@call $callee, $class, $arguments, $reply, $handler, $crate::calls!(@core $name $class));
        $crate::calls!(@row $head $callee [$($done,)* $crate::calls!(@core $name $class),] $($rest)*);
    };
    (@row $head:tt $callee:tt [$($done:expr,)*] $(#[$note:meta])*
        $number:literal $name:literal: $class:ident($arguments:ty) -> $reply:ty = $handler:expr; $($rest:tt)*
    ) => {
        $crate::calls!(@call $callee, $class, $arguments, $reply, $handler, $crate::calls!(@own $number $name $class));
        $crate::calls!(@row $head $callee [$($done,)* $crate::calls!(@own $number $name $class),] $($rest)*);
    };

    (@core $name:ident $class:ident) => {
        $crate::calls::CallInfo::core($crate::core::core_call::$name, $crate::core::class::Class::$class)
    };
    (@own $number:literal $name:literal $class:ident) => {
        $crate::calls::CallInfo::driver($number, $name, $crate::core::class::Class::$class)
    };

    (@call [[$($kind:tt)*] $callee:ty], $class:ident, $arguments:ty, $reply:ty, $handler:expr, $info:expr) => {
        impl<$($kind)*> $crate::calls::Call<$callee> for $arguments {
            type Reply = $reply;
            const INFO: $crate::calls::CallInfo = $info;

            #[track_caller]
            fn make(
                self,
                entrance: &$crate::calls::Entrance<'_, $callee>,
            ) -> ::core::result::Result<$reply, $crate::CallError> {
                $crate::calls!(@enter $class, entrance, self, $handler)
            }
        }
    };
    (@infallible [[$($kind:tt)*] $callee:ty], $arguments:ty, $reply:ty, $handler:expr, $info:expr) => {
        impl<$($kind)*> $crate::calls::InfallibleCall<$callee> for $arguments {
            type Reply = $reply;
            const INFO: $crate::calls::CallInfo = $info;

            fn make(self, users: &<$callee as $crate::calls::Callee>::Users) -> $reply {
                $handler(users, self)
            }
        }
    };
    (@enter Always, $entrance:ident, $call:expr, $handler:expr) => { $entrance.always($call, $handler) };
    (@enter Device, $entrance:ident, $call:expr, $handler:expr) => { $entrance.device($call, $handler) };
    (@enter Complete, $entrance:ident, $call:expr, $handler:expr) => { $entrance.complete($call, $handler) };
    (@enter Driver, $entrance:ident, $call:expr, $handler:expr) => { $entrance.driver($call, $handler) };
}
