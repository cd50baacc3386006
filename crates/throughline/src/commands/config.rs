//! `throughline config show|check`.

use std::fmt::Write as _;

use serde_json::json;

use crate::cli::{ConfigAction, ConfigCommand, ConfigFlags};
use crate::config::{Layers, layers, resolve};
use crate::failure::Failure;
use crate::terminal::{Align, clean, print, table};

/// Shows or checks what `serve` would be configured with.
pub(crate) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    let (ConfigAction::Show(flags) | ConfigAction::Check(flags)) = &command.action;
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let layers = layers(&flags.flags, &environment)?;
    match command.action {
        ConfigAction::Show(ConfigFlags { json, .. }) => print(&show(&layers, json)),
        ConfigAction::Check(ConfigFlags { json, .. }) => {
            resolve(&layers)?;
            print(if json { "{\"ok\":true}\n" } else { "the configuration is good\n" })
        }
    }
}

fn show(layers: &Layers, json: bool) -> String {
    if json {
        let settings = layers.iter().map(|(key, layered)| {
            let origin = layered.origin.to_string();
            ((*key).to_owned(), json!({ "value": layered.value, "origin": origin }))
        });
        let settings: serde_json::Map<_, _> = settings.collect();
        return format!("{}\n", serde_json::Value::Object(settings));
    }
    let row = |(key, layered): (&&str, &crate::config::Layered)| {
        let value = format!("{:?}", clean(&layered.value));
        vec![(*key).to_owned(), value, layered.origin.to_string(), layered.meaning.to_owned()]
    };
    let rows: Vec<_> = layers.iter().map(row).collect();
    let left = |title| (title, Align::Left);
    let mut text = table(&[left("SETTING"), left("VALUE"), left("FROM"), left("MEANING")], &rows);
    let _ = writeln!(
        text,
        "\nIn a file: [store] and below it retention = \"5d\". In the environment: \
         THROUGHLINE_STORE_RETENTION=5d."
    );
    text
}
