//! What must not compile, and beside each of it what does: the four lifetimes are four types, whatever the GPU, and no
//! user reaches the hardware.

/// Each call is one of its own lifetime's: a module is probed, a binding unplugged, a device opened, a handle used.
///
/// ```
/// use lifeboat::core::unplug::Loss;
/// use lifeboat::*;
/// use lifeboat_drm::{Device, Gpu, Handle};
///
/// fn from_code_to_handle<G: Gpu>(module: &Module, function: &std::sync::Arc<dyn lifeboat_pci::Function>) -> Option<Handle<G>> {
///     let binding: Binding = module.probe(function, &Policy::default(), Listeners::none()).ok()?;
///     let device: Device<G> = binding.device()?;
///     let handle: Handle<G> = device.open().ok()?;
///     let _context = handle.create_context();
///     binding.unplug(Loss::Unplugged);
///     Some(handle)
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_drm::{Device, Gpu, Handle};
/// fn module_for_device(module: &Module) {
///     let _ = module.open();
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_drm::{Device, Gpu, Handle};
/// fn binding_for_device(binding: &Binding) {
///     let _ = binding.open();
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_drm::{Device, Gpu, Handle};
/// fn device_for_handle<G: Gpu>(device: &Device<G>) {
///     let _ = device.create_context();
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_drm::{Device, Gpu, Handle};
/// fn handle_for_binding<G: Gpu>(handle: &Handle<G>) {
///     handle.unplug(lifeboat::core::unplug::Loss::Unplugged);
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_drm::{Device, Gpu, Handle};
/// fn device_for_binding<G: Gpu>(device: &Device<G>) {
///     device.unplug(lifeboat::core::unplug::Loss::Unplugged);
/// }
/// ```
mod life_1_no_lifetime_is_taken_for_another {}

/// Only the device is counted. A binding ends where its owner says, a handle with its owner, a module once.
///
/// ```
/// # use lifeboat::*;
/// # use lifeboat_drm::{Device, Gpu, Handle};
/// fn counted<G: Gpu>(device: &Device<G>) -> Device<G> {
///     device.clone()
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_drm::{Device, Gpu, Handle};
/// fn binding(binding: Binding) -> [Binding; 2] {
///     [binding.clone(), binding]
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat::*;
/// # use lifeboat_drm::{Device, Gpu, Handle};
/// fn handle<G: Gpu>(handle: Handle<G>) -> [Handle<G>; 2] {
///     [handle.clone(), handle]
/// }
/// ```
/// ```compile_fail,E0382
/// # use lifeboat::*;
/// # use lifeboat_drm::{Device, Gpu, Handle};
/// fn unloaded_twice(module: Module) {
///     let _ = module.unload();
///     let _ = module.unload();
/// }
/// ```
mod life_1_nothing_but_the_device_is_counted {}

/// Neither a device nor a handle gives its users the way to the hardware.
///
/// ```
/// use lifeboat_drm::{Device, DeviceInfo, Gpu};
///
/// fn what_there_is<G: Gpu>(device: &Device<G>) -> &DeviceInfo {
///     device.info()
/// }
/// ```
/// ```compile_fail,E0616
/// # use lifeboat_drm::{Device, Gpu};
/// fn link<G: Gpu>(device: Device<G>) {
///     let _ = device.0;
/// }
/// ```
/// ```compile_fail,E0616
/// fn reach<U: 'static, H: Send + Sync + 'static>(device: lifeboat::calls::Served<U, H>) {
///     let _ = device.reach;
/// }
/// ```
mod gate_1_no_user_reaches_the_hardware {}
