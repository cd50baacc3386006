//! The lab's functions in Rust: copied from a checkout, built here.
//!
//! They need crates of the checkout itself, so the binary does not carry them as it does the others.

use std::fs;

use tokio::process::Command;

use super::super::ground::Ground;
use super::super::programs::Run;
use super::super::report::{Line, Say};
use super::super::{LabError, LabOptions};

/// The first build took four minutes on two cores.
const BUILD_SECONDS_MAX: u64 = 1_800;

/// Brings the template to where it is deployed from.
pub(super) fn copy(ground: &Ground, options: &LabOptions) -> Result<(), LabError> {
    let place = ground.scratch.join("rust");
    fs::create_dir_all(&place).map_err(LabError::io(&place))?;
    let template = options.rust_folder.join("serverless_unset.yml");
    fs::copy(&template, place.join("serverless_unset.yml")).map_err(LabError::io(&template))?;
    Ok(())
}

/// Builds `bootstrap` and puts it beside the template. What cargo makes stays in the cache folder.
pub(super) async fn build(
    ground: &Ground,
    options: &LabOptions,
    say: &mut impl Say,
) -> Result<(), LabError> {
    let shown = "cargo build --release --locked";
    say.say(Line::Command(shown));
    // Cargo takes a relative folder from where it runs.
    let target = std::path::absolute(options.cache.join("kinesis-rust"));
    let target = target.map_err(LabError::io(&options.cache))?;
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--locked", "--quiet", "--target-dir"]).arg(&target);
    command.current_dir(&options.rust_folder);
    Run { shown, command, seconds_max: BUILD_SECONDS_MAX }.wait(say).await?;
    let built = target.join("release/bootstrap");
    let place = ground.scratch.join("rust/bootstrap");
    fs::copy(&built, &place).map_err(LabError::io(&built))?;
    Ok(())
}
