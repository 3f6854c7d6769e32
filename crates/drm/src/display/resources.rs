//! What there is to show pictures on. Asked of the device's users' side: loss changes only whether a screen is connected.

use lifeboat::CallError;
use lifeboat::calls::Arguments;
use lifeboat_core::kms::{Mode, Objects};
use lifeboat_driver::gpu::{Gpu, Scanout, Screen};

use super::Tenant;
use crate::Device;
use crate::device::Users;

/// What the display consists of, and how large its pictures may be. The same after loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// Where a screen can be connected.
    pub connectors: u32,
    /// What scans pictures out to them.
    pub crtcs: u32,
    /// Layers of a picture, each with a buffer of its own.
    pub planes: u32,
    /// Smallest width and height of a picture in pixels.
    pub min: (u16, u16),
    /// Largest width and height of a picture in pixels. It must fit in VRAM too.
    pub max: (u16, u16),
    /// The screen's one refresh rate, in pictures per thousand seconds.
    pub refresh_millihertz: u32,
}

impl Resources {
    /// A mode of this size, in pixels: the screens that there are take any between the limits.
    pub const fn mode(&self, width: u16, height: u16) -> Mode {
        Mode { width, height, refresh_millihertz: self.refresh_millihertz }
    }
}

/// Whether there is a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectorStatus {
    /// There is one.
    Connected,
    /// There is none, or no device (KMS-1).
    Disconnected,
}

/// A connector and its screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorInfo {
    /// Whether there is a screen.
    pub status: ConnectorStatus,
    /// The modes that it proposes, the preferred one first; none if it is disconnected. Any other size is as good, as
    /// long as the refresh rate is theirs.
    pub modes: Vec<Mode>,
}

/// Sizes that programs know.
const SIZES: [(u16, u16); 6] = [(3840, 2160), (2560, 1440), (1920, 1080), (1280, 720), (1024, 768), (640, 480)];

/// What a whole GPU with that screen has.
const fn all(screen: Screen) -> Resources {
    let Screen { refresh_millihertz, max_side } = screen;
    Resources { connectors: 1, crtcs: 1, planes: 1, min: (1, 1), max: (max_side, max_side), refresh_millihertz }
}

/// What a GPU without a screen has.
const NOTHING: Resources =
    Resources { connectors: 0, crtcs: 0, planes: 0, min: (0, 0), max: (0, 0), refresh_millihertz: 0 };

/// Arguments of `resources`.
pub(crate) struct GetResources<'a>(pub(crate) &'a Tenant);
/// Arguments of `get-connector`.
pub(crate) struct GetConnector<'a>(pub(crate) &'a Tenant);

impl<G: Gpu> Arguments<Device<G>> for GetConnector<'_> {
    fn check(&self, users: &Users<G>) -> Result<(), CallError> {
        users.gpu.display()?;
        self.0.permit()
    }
}

pub(crate) fn resources<G: Gpu>(_: &Users<G>, GetResources(tenant): GetResources<'_>) -> Resources {
    let Some(screen) = <G::Scanout as Scanout>::SCREEN else { return NOTHING };
    let Objects { crtc, connector, plane } = tenant.objects();
    let (connectors, crtcs, planes) = (connector.into(), crtc.into(), plane.into());
    Resources { connectors, crtcs, planes, ..all(screen) }
}

pub(crate) fn connector<G: Gpu>(users: &Users<G>, _: GetConnector<'_>) -> Result<ConnectorInfo, CallError> {
    let display = users.gpu.display()?;
    if display.is_lost() {
        return Ok(ConnectorInfo { status: ConnectorStatus::Disconnected, modes: Vec::new() });
    }
    // Two pictures must fit, so that there can be flips.
    let fits = |mode: &Mode| 2 * mode.picture_bytes() <= users.info.vram_bytes;
    let modes = SIZES.into_iter().map(|(width, height)| all(display.screen).mode(width, height)).filter(fits).collect();
    Ok(ConnectorInfo { status: ConnectorStatus::Connected, modes })
}
