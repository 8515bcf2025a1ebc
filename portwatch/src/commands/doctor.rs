//! `portwatch doctor`: what this machine allows.
use std::process::ExitCode;
use anyhow::Result;
use crate::cli::DoctorArgs;
/// Reports.
pub fn run(_args: &DoctorArgs, _verbose: bool) -> Result<ExitCode> { Ok(ExitCode::SUCCESS) }
