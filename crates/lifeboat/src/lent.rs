//! What must not compile, and beside it what does: hardware is lent for a section, and kept by nobody.

/// A subsystem, and through it a driver, is lent the hardware for a section and cannot keep it.
///
/// ```
/// use lifeboat::Link;
/// use lifeboat::driver::DriverError;
///
/// fn first_register(link: &Link) -> Result<u32, DriverError> {
///     link.io(|io| Ok(io.bar(0)?.read32(0)?))
/// }
/// ```
/// ```compile_fail,E0521
/// fn windows(link: &lifeboat::Link) {
///     let mut kept = None;
///     let _ = link.io(|io| {
///         kept = Some(*io);
///         Ok(())
///     });
/// }
/// ```
/// ```compile_fail,E0624
/// fn hardware(link: &lifeboat::Link) {
///     let _ = link.hardware(|hardware| Ok(hardware.bar(0).is_ok()));
/// }
/// ```
/// ```compile_fail,E0616
/// fn revocable(link: &lifeboat::Link) {
///     let _ = &link.hardware;
/// }
/// ```
mod gate_1_no_subsystem_keeps_the_hardware {}
