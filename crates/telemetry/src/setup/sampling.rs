//! `OTEL_TRACES_SAMPLER`: which traces are recorded, decided at their first span. The SDK reads it too, but
//! records everything if it does not know the sampler.

use opentelemetry_sdk::trace::Sampler;
use settings::{Env, SettingError};

const NAME: &str = "OTEL_TRACES_SAMPLER";
const ARG: &str = "OTEL_TRACES_SAMPLER_ARG";

/// By default all traces are recorded, except those that the caller did not sample.
pub(super) fn from_env(env: &Env) -> Result<Sampler, SettingError> {
    let given = env.get(NAME).unwrap_or("parentbased_always_on");
    let name = given.to_ascii_lowercase();
    let root = match name.strip_prefix("parentbased_").unwrap_or(&name) {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(env.within(ARG, 1.0, 0.0..=1.0)?),
        _ => {
            return Err(SettingError::bad(
                NAME,
                given,
                "always_on, always_off, traceidratio, or one of these after parentbased_",
            ));
        }
    };
    Ok(if name.starts_with("parentbased_") {
        Sampler::ParentBased(Box::new(root))
    } else {
        root
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler<const N: usize>(pairs: [(&str, &str); N]) -> String {
        match from_env(&Env::of(pairs)) {
            Ok(sampler) => format!("{sampler:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_sampler_of_the_specification_is_accepted() {
        assert_eq!(sampler([]), "ParentBased(AlwaysOn)");
        assert_eq!(sampler([(NAME, "always_off")]), "AlwaysOff");
        assert_eq!(sampler([(NAME, "Always_Off")]), "AlwaysOff");
        assert_eq!(
            sampler([(NAME, "parentbased_traceidratio"), (ARG, "0.25")]),
            "ParentBased(TraceIdRatioBased(0.25))"
        );
        assert_eq!(sampler([(NAME, "traceidratio")]), "TraceIdRatioBased(1.0)");
    }

    #[test]
    fn an_unknown_sampler_is_an_error() {
        assert!(sampler([(NAME, "xray")]).starts_with("OTEL_TRACES_SAMPLER: got `xray`; takes"));
        assert_eq!(
            sampler([(NAME, "traceidratio"), (ARG, "25%")]),
            "OTEL_TRACES_SAMPLER_ARG: got `25%`; takes a number from 0 to 1"
        );
    }
}
