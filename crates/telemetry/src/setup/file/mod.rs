//! `OTEL_CONFIG_FILE`: OpenTelemetry's declarative configuration, in YAML. A file makes the same
//! [`Configuration`] as variables. A key that has no meaning here is refused, so that no setting is lost.
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk/#otel_config_file>

mod exporter;
mod limits;
mod model;
mod node;
#[cfg(feature = "__otlp")]
mod otlp;
mod place;
mod propagator;
mod providers;
mod purpose;
mod resource;
mod sampler;
mod scalar;
mod substitution;
mod view;

use settings::Env;

use self::node::Malformation;
use self::place::Place;
use self::substitution::Substitution;
use super::configuration::Configuration;
use super::error::SetupError;

/// What the file at `path` contains.
///
/// # Errors
/// If it cannot be read, is not YAML, or has a key or a value that is not accepted.
pub(super) fn read(path: &str, env: &Env) -> Result<Configuration, SetupError> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| SetupError::File(format!("{path}: {error}")))?;
    parse(&text, env)
        .map_err(|Malformation { line, reason }| SetupError::File(format!("{path}, line {line}: {reason}")))
}

fn parse(text: &str, env: &Env) -> Result<Configuration, Malformation> {
    let mut substitution = Substitution::new(env);
    let root = node::parse(text, &mut substitution)?;
    let mut configuration = model::read(&Place::root(&root), env)?;
    configuration.warnings.extend(unused(env, &substitution));
    Ok(configuration)
}

/// A line about variables of the specification that are set, but neither read nor named in the file.
fn unused(env: &Env, substitution: &Substitution<'_>) -> Option<String> {
    let is_unused = |name: &&str| {
        name.starts_with("OTEL_") && *name != "OTEL_CONFIG_FILE" && !substitution.names.contains(*name)
    };
    let mut names: Vec<&str> = env.names().filter(is_unused).collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| format!("without effect, as OTEL_CONFIG_FILE is set: {}", names.join(", ")))
}

#[cfg(test)]
mod tests;
