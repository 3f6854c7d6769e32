//! What must not compile, and beside each of it what does: the four lifetimes are four types, and nothing but the framework
//! reaches the hardware.

/// Each call is one of its own lifetime's: a module is probed, a binding unplugged, a device opened, a handle used.
///
/// ```
/// use lifeboat::core::unplug::Loss;
/// use lifeboat::*;
/// use lifeboat_lb1_hosted::*;
///
/// fn from_code_to_handle(module: &Module, function: &std::sync::Arc<dyn lifeboat_pci::Function>) -> Option<Handle> {
///     let binding: Binding = module.probe(function, ProbeOptions::default()).ok()?;
///     let device: Device = binding.device()?;
///     let handle: Handle = device.open().ok()?;
///     let _context = handle.create_context();
///     binding.unplug(Loss::Unplugged);
///     Some(handle)
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_lb1_hosted::*;
/// fn module_for_device(module: &Module) {
///     let _ = module.open();
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_lb1_hosted::*;
/// fn binding_for_device(binding: &Binding) {
///     let _ = binding.open();
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_lb1_hosted::*;
/// fn device_for_handle(device: &Device) {
///     let _ = device.create_context();
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_lb1_hosted::*;
/// fn handle_for_binding(handle: &Handle) {
///     handle.unplug(lifeboat::core::unplug::Loss::Unplugged);
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_lb1_hosted::*;
/// fn device_for_binding(device: &Device) {
///     device.unplug(lifeboat::core::unplug::Loss::Unplugged);
/// }
/// ```
mod life_1_no_lifetime_is_taken_for_another {}

/// Only the device is counted. A binding ends where its owner says, a handle with its owner, a module once.
///
/// ```
/// # use lifeboat::*;
/// # use lifeboat_lb1_hosted::*;
/// fn counted(device: &Device) -> Device {
///     device.clone()
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_lb1_hosted::*;
/// fn binding(binding: Binding) -> [Binding; 2] {
///     [binding.clone(), binding]
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_lb1_hosted::*;
/// fn handle(handle: Handle) -> [Handle; 2] {
///     [handle.clone(), handle]
/// }
/// ```
/// ```compile_fail,E0382
/// # use lifeboat::*;
/// # use lifeboat_lb1_hosted::*;
/// fn unloaded_twice(module: Module) {
///     let _ = module.unload();
///     let _ = module.unload();
/// }
/// ```
mod life_1_nothing_but_the_device_is_counted {}

/// Neither a device nor a handle gives its users the way to the hardware.
///
/// ```
/// fn what_there_is(device: &lifeboat_lb1_hosted::Device) -> &lifeboat_lb1_hosted::DeviceInfo {
///     device.info()
/// }
/// ```
/// ```compile_fail,E0616
/// fn link(device: lifeboat_lb1_hosted::Device) {
///     let _ = device.0;
/// }
/// ```
/// ```compile_fail,E0616
/// fn reach<U: 'static, H: Send + Sync + 'static>(device: lifeboat::calls::Served<U, H>) {
///     let _ = device.reach;
/// }
/// ```
mod gate_1_no_user_reaches_the_hardware {}

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
