//! Survey in a process apart: a survey reads files that a sick device may hold up for ever.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_recovery_policy::policy::StepKind;
use lifeboat_recovery_policy::survey::{Health, Holders, Survey};
use serde::{Deserialize, Serialize};

use super::question::{Eyes, Question};
use super::take;
use crate::address::Address;
use crate::disposable;
use crate::inventory::config;
use crate::inventory::function::Function;
use crate::system::System;

/// Name of the hidden command that takes the survey.
pub const COMMAND: &str = "survey";
/// Time that a survey may take. The machine of the policy gives up a little later.
const LIMIT: Duration = Duration::from_secs(25);

/// Question of a survey, as the process is given it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Root of the system: `/` is this machine.
    pub root: PathBuf,
    /// Address of the device, as sysfs writes it.
    pub device: String,
    /// Step that may follow.
    pub step: StepKind,
    /// Program of a vendor's step; empty for other steps.
    pub program: String,
    /// Driver that was bound before the incident, if it is known.
    pub driver: Option<String>,
    /// Bridge above the device before the incident, if it is known.
    pub bridge: Option<String>,
    /// Names of processes and units that the policy never ends.
    pub never_end: Vec<String>,
    /// Whether the kernel recovers the device now.
    pub kernel_recovers: bool,
}

/// Asks for a survey, in a process of the program `program`. Silence means that nothing could be read.
pub fn ask(program: &Path, asked: &Asked) -> Survey {
    let arguments = serde_json::to_string(asked).map(|json| [OsString::from(COMMAND), OsString::from(json)]);
    let answer = match &arguments {
        Ok(arguments) => disposable::ask(&program.into(), arguments, LIMIT).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let survey = answer.and_then(|answer| {
        serde_json::from_slice(&answer).map_err(|error| format!("the survey's answer cannot be read: {error}"))
    });
    survey.unwrap_or_else(|why| unreadable(&why, asked.kernel_recovers))
}

fn unreadable(why: &str, kernel_recovers: bool) -> Survey {
    Survey {
        health: Health::Unreadable(why.into()),
        kernel_recovers,
        unavailable: None,
        protections: Vec::new(),
        domain_in_use: Vec::new(),
        domain_unreadable: Some(why.into()),
        holders: Holders { unreadable: Some(why.into()), ..Holders::default() },
    }
}

/// Takes the survey here: the hidden command.
pub fn answer(json: &str) -> Survey {
    match serde_json::from_str::<Asked>(json) {
        Ok(asked) => take_here(&asked).unwrap_or_else(|why| unreadable(&why, asked.kernel_recovers)),
        Err(error) => unreadable(&format!("the question cannot be read: {error}"), false),
    }
}

fn take_here(asked: &Asked) -> Result<Survey, String> {
    let system = System::open(&asked.root).map_err(|error| error.to_string())?;
    let address = |text: &str| text.parse::<Address>().map_err(|error| error.to_string());
    let bridge = asked.bridge.as_deref().map(address).transpose()?;
    let question = Question {
        device: address(&asked.device)?,
        step: asked.step,
        program: Path::new(&asked.program),
        driver: asked.driver.as_deref(),
        bridge,
        never_end: &asked.never_end,
        control: &[],
        kernel_recovers: asked.kernel_recovers,
    };
    let eyes = Eyes { config: &config::read_here, probe: &bound };
    Ok(take::take(&system, &question, &eyes))
}

/// First word on a function that answers: without a driver it is of no use to anybody.
fn bound(function: &Function) -> Health {
    match &function.driver {
        Some(_) => Health::Works,
        None => Health::Sick("no driver is bound".into()),
    }
}
