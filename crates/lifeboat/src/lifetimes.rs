//! What must not compile, and beside each of it what does: the four lifetimes are four types, and nothing but the framework
//! reaches the hardware.

/// Each call is one of its own lifetime's: a module is probed, a binding unplugged, a device opened, a handle used.
///
/// ```
/// use lifeboat::core::unplug::Loss;
/// use lifeboat::*;
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
/// fn module_for_device(module: &Module) {
///     let _ = module.open();
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// fn binding_for_device(binding: &Binding) {
///     let _ = binding.open();
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// fn device_for_handle(device: &Device) {
///     let _ = device.create_context();
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// fn handle_for_binding(handle: &Handle) {
///     handle.unplug(lifeboat::core::unplug::Loss::Unplugged);
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// fn device_for_binding(device: &Device) {
///     device.unplug(lifeboat::core::unplug::Loss::Unplugged);
/// }
/// ```
mod life_1_no_lifetime_is_taken_for_another {}

/// Only the device is counted. A binding ends where its owner says, a handle with its owner, a module once.
///
/// ```
/// # use lifeboat::*;
/// fn counted(device: &Device) -> Device {
///     device.clone()
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// fn binding(binding: Binding) -> [Binding; 2] {
///     [binding.clone(), binding]
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// fn handle(handle: Handle) -> [Handle; 2] {
///     [handle.clone(), handle]
/// }
/// ```
/// ```compile_fail,E0382
/// # use lifeboat::*;
/// fn unloaded_twice(module: Module) {
///     let _ = module.unload();
///     let _ = module.unload();
/// }
/// ```
mod life_1_nothing_but_the_device_is_counted {}

/// Neither a device nor a handle gives its users the way to the hardware.
///
/// ```
/// fn what_there_is(device: &lifeboat::Device) -> &lifeboat::DeviceInfo {
///     device.info()
/// }
/// ```
/// ```compile_fail,E0616
/// fn link(device: lifeboat::Device) {
///     let _ = device.0;
/// }
/// ```
/// ```compile_fail,E0603
/// fn link(link: lifeboat::link::Link) {}
/// ```
/// ```compile_fail,E0603
/// fn hardware(hardware: lifeboat::hardware::Hardware) {}
/// ```
mod gate_1_no_user_reaches_the_hardware {}
